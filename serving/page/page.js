// The page: a picture goes in, a card with its answer comes out.

const find = (id) => document.getElementById(id);
const drop = find("drop"), model = find("model"), answers = find("answers");
const notice = find("notice"), announcement = find("announcement");
const locked = find("locked"), key = find("key");

const AGAIN = "send the picture again in a moment.";
const SILENT = `The server does not answer; ${AGAIN}`;

const SEEN = {
  "as is": "what the network saw",
  "plain ground": "what the network saw: cut out of its background",
  "photograph": "what the network saw: cut out of a photograph",
};

// Of equal lightness, and different to eyes that tell red and green apart badly.
const FOR = [33, 102, 214], AGAINST = [224, 110, 20];

/** Fill the choice of models, say which versions are not served and why, and ask for a key if the
    service has one. */
async function listModels() {
  const ready = await (await fetch("./health/ready")).json();
  model.add(new Option("the server’s default", ""));
  for (const { name, version, state, pictures } of ready.models) {
    if (state === "available" && pictures) {
      const query = new URLSearchParams({ model: name, version });
      model.add(new Option(`${name}, version ${version}`, query));
    }
  }
  const broken = ready.models.filter((each) => each.state === "broken");
  const reasons = broken.map((each) => `${each.name}, version ${each.version}: ${each.reason}`);
  notice.textContent = [ready.error, ...reasons].filter(Boolean).join("\n");
  locked.hidden = (await fetch("./v2")).status !== 401;
}

/** Put up a card for each picture and ask about all of them, one after another. */
export async function ask(pictures) {
  const cards = pictures.map((picture) => [picture, putUpCard(picture)]);
  for (const [picture, card] of cards) {
    const answer = await predict(picture).catch(() => ({ error: SILENT }));
    card.setAttribute("aria-busy", "false");
    if (answer.error) showError(card, answer);
    else showAnswer(card, answer);
  }
}

/** The header that a service with a key asks for. */
function credentials() {
  return key.value && key.checkValidity() ? { Authorization: `Bearer ${key.value}` } : {};
}

/** Ask for the key if what has been entered is refused; resolves when there is another. */
async function unlock() {
  locked.hidden = false;
  find("wrong").hidden = !key.value;
  announcement.textContent = key.value ? "This is not the key." : "This service needs a key.";
  key.focus();
  await new Promise((resolve) => key.addEventListener("change", resolve, { once: true }));
  find("wrong").hidden = true;
}

/** The server's answer to one picture, or {error}. */
async function predict(picture) {
  const form = new FormData();
  form.append("file", picture, picture.name);
  const response = await fetch(`./predict?top=5&explain=1&${model.value}`, { method: "POST", body: form, headers: credentials() });
  if (response.status === 401) {
    await unlock();
    return predict(picture);
  }
  const body = await response.json().catch(() => ({ error: `The server failed (${response.status}); ${AGAIN}` }));
  return body.error ? body : body.predictions[0];
}

function putUpCard(picture) {
  const card = find("answer").content.cloneNode(true).firstElementChild;
  const image = card.querySelector(".sent");
  image.src = URL.createObjectURL(picture);
  image.alt = `Your picture ${picture.name}`;
  image.onload = () => URL.revokeObjectURL(image.src);
  image.onerror = () => { image.hidden = true; };
  card.querySelector(".name").textContent = picture.name;
  answers.prepend(card);
  return card;
}

function showError(card, { error }) {
  card.classList.add("failed");
  card.querySelector(".label").textContent = error;
  announcement.textContent = error;
}

function showAnswer(card, answer) {
  const label = inWords(answer);
  card.querySelector(".label").textContent = label;
  card.querySelector(".doubt").hidden = !isGuess(answer);
  card.querySelector(".classes").append(...answer.top.map(bar));
  card.querySelector(".by").textContent = `${answer.model}, version ${answer.version}`;
  announcement.textContent = `${answer.file}: ${label}, ${percent(answer.probability)}`;
  showPixels(card.querySelector(".seen"), answer.input, opaque);
  card.querySelector(".seen figcaption").textContent = SEEN[answer.prepared];
  showAttribution(card.querySelector(".attribution"), answer);
}

/** Whether the answer may well be wrong: what is more likely unknown than not is said without doubt. */
function isGuess({ uncertain, most_like: closest, probability }) {
  return closest ? probability < 0.5 : uncertain;
}

/** The answer's label; of what the network does not know, what it is most like. */
function inWords({ label, most_like: closest }) {
  if (!closest) return label;
  const name = closest.label.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()); // not that of T-shirt
  return `Not one of the ten garments, most like ${/^[aeiou]/.test(name) ? "an" : "a"} ${name}`;
}

/** The colour of a pixel, which is a grey value or [r, g, b]. */
function opaque(pixel) {
  return [...(Array.isArray(pixel) ? pixel : [pixel, pixel, pixel]), 255];
}

/** The attribution map: blue pixels support the label, orange ones contradict it. */
function showAttribution(figure, { evidence: attribution, label }) {
  const caption = figure.querySelector("figcaption");
  figure.hidden = false;
  if (!attribution) {
    figure.querySelector("canvas").hidden = true;
    caption.textContent = "This model cannot say what supports its answer.";
    return;
  }
  const strengths = attribution.flat().map(Math.abs).sort((a, b) => a - b);
  const strong = strengths[Math.floor(0.98 * strengths.length)] || 1;
  const colour = (nats) => [...(nats < 0 ? AGAINST : FOR), 255 * Math.min(1, Math.abs(nats) / strong)];
  showPixels(figure, attribution, colour);
  figure.querySelector("canvas").ariaLabel = `Which pixels support ${label}, and which contradict it`;
  const word = (text, kind) => Object.assign(document.createElement("b"), { textContent: text, className: kind });
  caption.replaceChildren(word("supports", "for"), " or ", word("contradicts", "against"), " it");
}

/** One class with its probability, as text and as a bar. */
function bar({ label, probability }) {
  const item = find("class").content.cloneNode(true);
  item.querySelector(".class").textContent = label;
  item.querySelector(".share").textContent = percent(probability);
  item.querySelector(".bar").style.width = `${100 * probability}%`;
  return item;
}

function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

/** Show a figure's canvas with a pixel for each value in the rows; colour: value → [r, g, b, a]. */
function showPixels(figure, rows, colour) {
  const canvas = figure.querySelector("canvas");
  figure.hidden = false;
  canvas.width = rows[0].length;
  canvas.height = rows.length;
  const rgba = rows.flat().flatMap(colour);
  const image = new ImageData(new Uint8ClampedArray(rgba), canvas.width);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

for (const input of [find("files"), find("camera")]) {
  input.addEventListener("change", () => {
    ask([...input.files]);
    input.value = ""; // so that the same picture can be chosen again
  });
}
find("ask").addEventListener("submit", (event) => event.preventDefault()); // Enter in the key's field
document.addEventListener("paste", (event) => ask([...event.clipboardData.files]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") ask([...event.dataTransfer.files]);
  });
}

listModels().catch(() => { notice.textContent = "The server does not answer; reload the page."; });
