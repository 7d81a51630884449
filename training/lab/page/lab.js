// The page: the declaration as form and YAML, the training's controls, and what comes of it.

import { drawChart, drawPanel, drawUnits, classKey } from "/page/drawing.js";

const find = (id) => document.getElementById(id);
const form = find("form"), yaml = find("yaml"), lines = find("lines"), errors = find("errors");
const token = document.querySelector("meta[name=token]").content;

const PATIENCE = 300; // milliseconds after a key before the text is checked

/** The server's answer to a request, or {error}. */
async function ask(path, body) {
  const headers = { "X-Lab-Token": token, "Content-Type": "application/json" };
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  try {
    return await (await fetch(path, options)).json();
  } catch {
    return { error: "The lab does not answer: start `wardrobe lab` again, and reload the page." };
  }
}

// The declaration -----------------------------------------------------------------------------

let asked = 0; // a later question makes the answers to earlier ones worthless
let isRight = false;

/** Check the text; with a field of the form, change it first. */
async function check(change = {}) {
  const number = ++asked;
  const answer = await ask("/declaration", { yaml: yaml.value, ...change });
  if (number !== asked) return;
  if (answer.error) return void (find("refused").textContent = answer.error);
  find("refused").textContent = answer.refused ?? "";
  if (answer.yaml !== yaml.value) yaml.value = answer.yaml;
  if (answer.form) showForm(answer.form);
  for (const field of form.elements) field.disabled = !answer.form || answer.form[field.name] === null || typeof answer.form[field.name] === "object";
  showErrors(answer.errors);
  history.replaceState(null, "", `#${encode(yaml.value)}`);
}

function showForm(values) {
  for (const field of form.elements) {
    const value = values[field.name];
    if (field.type === "checkbox") field.checked = Boolean(value);
    else if (value === null || typeof value === "object") showOther(field, value !== null ? "a schedule" : values.layers === "" ? "–" : "differs");
    else showOther(field, String(value));
  }
}

/** Show a value, also one that is not among the options. */
function showOther(field, value) {
  if (field.options) {
    field.querySelector(".other")?.remove();
    if (![...field.options].some((option) => option.value === value)) {
      field.add(Object.assign(new Option(value, value), { className: "other" }));
    }
  }
  field.value = value;
}

function showErrors(found) {
  isRight = found.length === 0;
  errors.replaceChildren(...found.map(({ line, message }) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = line ? `line ${line}: ${message}` : message;
    button.addEventListener("click", () => goTo(line ?? 1));
    item.append(button);
    return item;
  }));
  showLines(new Set(found.map(({ line }) => line)));
  showState();
}

function showLines(wrong) {
  const count = yaml.value.split("\n").length;
  lines.replaceChildren(...Array.from({ length: count }, (_, at) => {
    const number = document.createElement(wrong.has(at + 1) ? "b" : "span");
    number.textContent = `${at + 1}\n`;
    return number;
  }));
  lines.scrollTop = yaml.scrollTop;
}

/** Put the caret into a line of the YAML. */
function goTo(line) {
  const before = yaml.value.split("\n").slice(0, line - 1).join("\n");
  const start = line > 1 ? before.length + 1 : 0;
  const end = yaml.value.indexOf("\n", start);
  yaml.focus();
  yaml.setSelectionRange(start, end < 0 ? yaml.value.length : end);
}

let waiting;
yaml.addEventListener("input", () => {
  clearTimeout(waiting);
  asked += 1; // what is on its way is of an older text
  showLines(new Set());
  waiting = setTimeout(check, PATIENCE);
});
yaml.addEventListener("scroll", () => { lines.scrollTop = yaml.scrollTop; });
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", ({ target }) => {
  const value = target.type === "checkbox" ? target.checked : target.value.trim();
  check({ field: target.name, value });
});

function write(text) {
  yaml.value = text;
  return check();
}

// A link holds the text as base64 of its UTF-8, in the alphabet of addresses.
function encode(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(fragment) {
  try {
    const bytes = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)));
  } catch {
    return null;
  }
}

find("link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    announce("Link copied.");
    find("link").textContent = "Copied";
  } catch {
    find("link").textContent = "Copy the address above";
  }
  setTimeout(() => { find("link").textContent = "Copy a link"; }, 2000);
});
addEventListener("hashchange", () => {
  const text = decode(location.hash.slice(1));
  if (text !== null && text !== yaml.value) write(text);
});

// What to begin with ---------------------------------------------------------------------------

async function listChoices() {
  const choices = await ask("/choices");
  if (choices.error) return void (find("notice").textContent = choices.error);
  for (const name of ["data", "activation", "initializer", "optimizer"]) {
    for (const value of choices[name]) form.elements[name].add(new Option(value, value));
  }
  for (let count = 1; count <= choices.most_seeds; count += 1) find("seeds").add(new Option(count, count));
  const start = find("start");
  const group = (title, entries, name) => {
    const options = document.createElement("optgroup");
    options.label = title;
    options.append(...entries.map((entry, at) => new Option(name(entry), `${title} ${at}`)));
    start.append(options);
    entries.forEach((entry, at) => starts.set(`${title} ${at}`, entry));
  };
  group("Data", choices.start, ({ title }) => title);
  group("Lecture", choices.lecture, ({ rows, title }) => `${rows.join(", ")} · ${title}`);
  const given = location.hash.length > 1 ? decode(location.hash.slice(1)) : null;
  if (given === null) return begin();
  start.add(new Option("the link’s declaration", "", true, true), 0);
  return write(given);
}

const starts = new Map();

function begin() {
  const { yaml: text, variants, about } = starts.get(find("start").value) ?? {};
  find("variants").hidden = !(variants?.length > 1);
  find("variant").replaceChildren(...(variants ?? []).map(({ title, yaml: own }) => new Option(title, own)));
  find("about").hidden = !about;
  find("about").textContent = about ?? "";
  const chosen = text ?? variants?.[0].yaml;
  return chosen && write(chosen);
}

find("start").addEventListener("change", begin);
find("variant").addEventListener("change", () => write(find("variant").value));

// The training ---------------------------------------------------------------------------------

// connecting → ready → training ⇄ paused → finishing → ready
let state = "connecting", session = null, canExport = false;
let networks = new Map(), shown = null; // by seed; the seed that is looked at closely
let epochs = 0;

const isTraining = () => ["training", "paused"].includes(state);

function showState() {
  find("train").disabled = state === "connecting" || !isRight;
  find("train").textContent = isTraining() || networks.size ? "Restart" : "Train";
  find("pause").disabled = !isTraining();
  find("pause").textContent = state === "paused" ? "Continue" : "Pause";
  find("step").disabled = !isTraining() && find("train").disabled;
  find("finish").disabled = !isTraining();
  find("rate").disabled = !isTraining();
  const link = find("export");
  link.setAttribute("aria-disabled", String(!canExport));
  if (canExport) link.href = `/sessions/${session}/export.zip?token=${token}`;
  else link.removeAttribute("href");
}

function become(next) {
  state = next;
  showState();
}

function announce(text) {
  find("announcement").textContent = text;
}

async function command(body) {
  const answer = await ask(`/sessions/${session}`, body);
  find("notice").textContent = answer.error ?? "";
  return !answer.error;
}

async function train(paused) {
  networks = new Map();
  shown = null;
  canExport = false;
  find("panels").replaceChildren();
  find("status").textContent = "Building the network …";
  find("rate").value = "";
  become(paused ? "paused" : "training");
  const asked = { do: "train", yaml: yaml.value, seeds: Number(find("seeds").value), pace: Number(find("pace").value), paused };
  if (!await command(asked)) {
    find("status").textContent = "";
    become("ready");
  }
}

find("train").addEventListener("click", () => train(false));
find("pause").addEventListener("click", () => {
  const goesOn = state === "paused";
  become(goesOn ? "training" : "paused");
  command({ do: goesOn ? "go" : "pause" });
});
find("step").addEventListener("click", async () => {
  if (!isTraining()) await train(true);
  if (!isTraining()) return;
  become("paused");
  command({ do: "step" });
});
find("finish").addEventListener("click", () => {
  become("finishing");
  find("status").textContent = "Evaluating and exporting …";
  command({ do: "stop" });
});
find("pace").addEventListener("change", () => {
  if (isTraining()) command({ do: "pace", value: Number(find("pace").value) });
});
find("rate").addEventListener("change", () => {
  const value = Number(find("rate").value);
  if (find("rate").value.trim() && value >= 0) command({ do: "rate", value });
  else find("notice").textContent = "The step size is a number, such as 0.01.";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !find("train").disabled) train(false);
});

const RECEIVERS = {
  session({ name }) { session = name; },
  ready() {
    if (state === "connecting") become("ready");
    if (!networks.size) find("status").textContent = "Ready. Train a network, or train it one epoch at a time with Step.";
  },
  notice({ message }) { find("notice").textContent = message; },
  begins({ seed, epochs: all, ...scene }) {
    epochs = all;
    find("notice").textContent = "";
    networks.set(seed, { seed, scene, rows: [], picture: {}, verdict: "" });
    shown ??= seed;
    addPanel(seed);
    find("key").replaceChildren(...classKey(scene));
    find("hidden").hidden = !(scene.layers.length && ["plane", "curve"].includes(scene.kind));
  },
  epochs({ seed, rows, picture }) {
    const network = networks.get(seed);
    network.rows.push(...rows);
    network.picture = picture;
    if (!find("rate").value && rows.length && document.activeElement !== find("rate")) {
      find("rate").placeholder = Number(rows.at(-1).learning_rate).toPrecision(3);
    }
    paint();
  },
  trained({ seed, metrics }) {
    const network = networks.get(seed), { test } = metrics;
    const [name, value] = Object.entries(test ?? {})[0] ?? [];
    network.verdict = test?.accuracy !== undefined ? `test ${percent(test.accuracy)}` : name ? `test ${name.replaceAll("_", " ")} ${value.toPrecision(3)}` : "";
    paint();
  },
  failed({ message }) {
    find("notice").textContent = message;
  },
  finished({ complete }) {
    canExport = complete;
    become("ready");
    find("status").textContent = "";
    paint();
    announce(`Finished. ${find("status").textContent}`);
  },
  gone({ message }) { find("notice").textContent = `${message}; a new one is being started`; },
};

/** Listen; the process behind the page lives as long as this connection. */
function connect() {
  const events = new EventSource(`/events?token=${token}`);
  events.onmessage = ({ data }) => {
    const { type, ...facts } = JSON.parse(data);
    RECEIVERS[type](facts);
  };
  events.onerror = () => {
    if (isTraining()) find("notice").textContent ||= "Training has stopped: its process is gone.";
    canExport = false;
    become("connecting");
    if (events.readyState === EventSource.CLOSED) {
      find("status").textContent = "";
      find("notice").textContent = "No process could be started: are four pages of the lab open? Close one, and reload this one.";
    }
  };
}

// What is seen ---------------------------------------------------------------------------------

function addPanel(seed) {
  const panel = document.createElement("button");
  Object.assign(panel, { type: "button", className: "panel", id: `panel-${seed}` });
  panel.setAttribute("role", "radio");
  panel.append(document.createElement("canvas"), document.createElement("span"));
  panel.querySelector("canvas").hidden = networks.get(seed).scene.kind === "numbers";
  panel.addEventListener("click", () => {
    shown = seed;
    paint();
  });
  find("panels").append(panel);
  find("panels").dataset.count = networks.size;
}

let isPainting = false;

/** Draw everything anew with the next frame, however many messages come before it. */
function paint() {
  if (isPainting) return;
  isPainting = true;
  requestAnimationFrame(() => {
    isPainting = false;
    if (networks.size) paintNow();
  });
}

function paintNow() {
  const all = [...networks.values()], looked = networks.get(shown);
  for (const network of all) {
    const panel = find(`panel-${network.seed}`), canvas = panel.querySelector("canvas");
    panel.setAttribute("aria-checked", String(network.seed === shown));
    panel.tabIndex = network.seed === shown ? 0 : -1;
    panel.querySelector("span").textContent = [`seed ${network.seed}`, network.verdict || inShort(network)].filter(Boolean).join(" · ");
    if (!canvas.hidden) drawPanel(canvas, network.scene, network.picture);
  }
  const series = (name) => all.map(({ seed, rows }) => ({ rows, name, isShown: seed === shown }));
  const hasRows = all.some(({ rows }) => rows.length);
  const hasAccuracy = all.some(({ rows }) => rows[0]?.accuracy !== undefined);
  find("loss-figure").hidden = !hasRows;
  find("accuracy-figure").hidden = !hasAccuracy;
  find("legend").hidden = !hasRows;
  drawChart(find("loss"), series("loss"), epochs);
  drawChart(find("accuracy"), series("accuracy"), epochs);
  drawUnits(find("units"), looked.scene, looked.picture);
  const status = inWords(looked);
  if (state !== "finishing") find("status").textContent = status;
  find("loss").ariaLabel = `Loss by epoch: ${status}`;
  find("accuracy").ariaLabel = `Accuracy by epoch: ${status}`;
  showNumbers(looked.rows);
}

// A group of radio buttons is one stop of the Tab key; arrows move within it.
find("panels").addEventListener("keydown", (event) => {
  const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!move) return;
  event.preventDefault();
  const seeds = [...networks.keys()];
  shown = seeds[(seeds.indexOf(shown) + move + seeds.length) % seeds.length];
  find(`panel-${shown}`).focus();
  paintNow();
});

const NAMES = { loss: "loss", val_loss: "held out", accuracy: "accuracy", val_accuracy: "held out" };

function inWords({ seed, rows, verdict }) {
  const last = rows.at(-1);
  if (!last) return `seed ${seed}: as initialised`;
  const measures = Object.entries(NAMES).filter(([key]) => typeof last[key] === "number").map(([key, word]) => {
    return `${word} ${key.endsWith("accuracy") ? percent(last[key]) : last[key].toPrecision(3)}`;
  });
  const diverged = last.loss === null ? ["the loss is no number any more: try a smaller step size"] : [];
  return [`seed ${seed}: epoch ${last.epoch} of ${epochs}`, ...measures, ...diverged, verdict].filter(Boolean).join(" · ");
}

function inShort({ rows }) {
  const last = rows.at(-1);
  if (!last) return "as initialised";
  const accuracy = last.val_accuracy ?? last.accuracy;
  if (typeof accuracy === "number") return percent(accuracy);
  return typeof last.loss === "number" ? `loss ${(last.val_loss ?? last.loss).toPrecision(3)}` : "diverged";
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function showNumbers(rows) {
  const table = find("numbers");
  table.hidden = !rows.length;
  if (table.hidden || !table.open) return;
  const names = Object.keys(rows[0]);
  const row = (kind, values) => {
    const line = document.createElement("tr");
    line.append(...values.map((text) => Object.assign(document.createElement(kind), { textContent: text })));
    return line;
  };
  table.querySelector("thead").replaceChildren(row("th", names.map((name) => name.replace("val_", "held-out ").replaceAll("_", " "))));
  table.querySelector("tbody").replaceChildren(...rows.slice(-10).map((one) => row("td", names.map((name) => {
    return one[name] === null ? "NaN" : name === "epoch" ? one[name] : one[name].toPrecision(4);
  }))));
}

find("numbers").addEventListener("toggle", paint);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
addEventListener("resize", paint);

connect();
listChoices();
