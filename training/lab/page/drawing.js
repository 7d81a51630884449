// What is drawn of a network: its decision, its curve, its weights, its units, and the charts.

// Of equal lightness, and different to eyes that tell red and green apart badly.
const BLUE = [33, 102, 214], ORANGE = [224, 110, 20];
const BRIGHT_BLUE = [140, 184, 255], BRIGHT_ORANGE = [255, 184, 130]; // points on a dark ground
const FINE = 200; // pixels along each side of a decision
const MOST_POINTS = 600; // of a line in a chart

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** The colours of the scheme, as the canvas can use them: `light-dark()` resolved. */
function scheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const choose = (name) => colour(name).match(/light-dark\((#\w+), (#\w+)\)/)?.[dark ? 2 : 1] ?? colour(name);
  const ground = choose("--card");
  return { dark, ground, rgb: [1, 3, 5].map((at) => parseInt(ground.slice(at, at + 2), 16)), text: choose("--text"), soft: choose("--soft"), line: choose("--line") };
}

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** A canvas' pen in CSS pixels, wiped, with its width and height. */
function pen(canvas) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const ink = canvas.getContext("2d");
  ink.setTransform(scale, 0, 0, scale, 0, 0);
  ink.clearRect(0, 0, width, height);
  return [ink, width, height];
}

/** From the colour of one side over the ground to that of the other; value: −1 to 1. */
function between(value, ground) {
  const end = value < 0 ? BLUE : ORANGE, strength = Math.min(1, Math.abs(value));
  return end.map((level, at) => ground[at] + (level - ground[at]) * strength);
}

export function drawPanel(canvas, scene, picture) {
  const [ink, width, height] = pen(canvas);
  if (picture.decision) drawDecision(ink, width, height, scene, picture);
  else if (picture.curve) drawCurve(ink, width, height, scene, picture);
  else if (picture.images) drawImages(ink, width, height, picture.images);
}

function drawDecision(ink, width, height, { side, extent, points, labels }, { decision }) {
  const { rgb, dark } = scheme();
  const fine = smooth(bytes(decision), side);
  const image = new ImageData(FINE, FINE);
  const border = dark ? 255 : 0;
  for (let at = 0; at < fine.length; at += 1) {
    const value = fine[at] - 127.5;
    const right = (at + 1) % FINE ? fine[at + 1] - 127.5 : value, below = at + FINE < fine.length ? fine[at + FINE] - 127.5 : value;
    const isBorder = value * right < 0 || value * below < 0;
    const [red, green, blue] = isBorder ? [border, border, border] : between(0.65 * value / 127.5, rgb);
    image.data.set([red, green, blue, 255], 4 * at);
  }
  const sheet = new OffscreenCanvas(FINE, FINE);
  sheet.getContext("2d").putImageData(image, 0, 0);
  ink.drawImage(sheet, 0, 0, width, height);
  const [left, right, low, high] = extent;
  const size = Math.max(1.6, width / 130);
  points.forEach(([x, y], at) => {
    const [across, down] = [width * (x - left) / (right - left), height * (high - y) / (high - low)];
    dot(ink, across, down, size, labels[at] > 0.5, dark);
  });
}

/** A disc for the first class, a triangle for the second: not by colour alone. */
function dot(ink, x, y, size, isSecond, dark) {
  const [first, second] = dark ? [BRIGHT_BLUE, BRIGHT_ORANGE] : [BLUE, ORANGE];
  ink.beginPath();
  if (isSecond) {
    ink.moveTo(x, y - 1.35 * size);
    ink.lineTo(x + 1.25 * size, y + 0.9 * size);
    ink.lineTo(x - 1.25 * size, y + 0.9 * size);
    ink.closePath();
  } else {
    ink.arc(x, y, size, 0, 2 * Math.PI);
  }
  ink.fillStyle = `rgb(${isSecond ? second : first})`;
  ink.strokeStyle = dark ? "#15151a" : "#ffffff";
  ink.lineWidth = 0.8;
  ink.fill();
  ink.stroke();
}

/** Values of a small grid on a fine one, linear between them. */
function smooth(values, side) {
  const fine = new Float32Array(FINE * FINE), step = (side - 1) / (FINE - 1);
  for (let row = 0; row < FINE; row += 1) {
    const y = row * step, top = Math.min(side - 2, Math.floor(y)), down = y - top;
    for (let column = 0; column < FINE; column += 1) {
      const x = column * step, left = Math.min(side - 2, Math.floor(x)), across = x - left;
      const at = top * side + left;
      const above = values[at] + (values[at + 1] - values[at]) * across;
      const below = values[at + side] + (values[at + side + 1] - values[at + side]) * across;
      fine[row * FINE + column] = above + (below - above) * down;
    }
  }
  return fine;
}

function drawCurve(ink, width, height, { points, x }, { curve }) {
  const { soft } = scheme();
  const xs = points.map(([one]) => one), ys = points.map(([, one]) => one);
  const place = placer([Math.min(...xs), Math.max(...xs)], [Math.min(...ys) - 0.3, Math.max(...ys) + 0.3], [8, 8, width - 16, height - 16]);
  ink.fillStyle = soft;
  ink.globalAlpha = 0.5;
  for (const point of points) {
    ink.beginPath();
    ink.arc(...place(...point), 1.8, 0, 2 * Math.PI);
    ink.fill();
  }
  ink.globalAlpha = 1;
  stroke(ink, x.map((one, at) => place(one, curve[at])), { strokeStyle: `rgb(${ORANGE})`, lineWidth: 2.5 });
}

function drawImages(ink, width, height, images) {
  const columns = Math.ceil(Math.sqrt(images.length)), cell = width / columns;
  images.forEach((image, at) => {
    const [x, y] = [(at % columns) * cell, Math.floor(at / columns) * cell];
    ink.imageSmoothingEnabled = false;
    ink.drawImage(signedImage(image), x + 1, y + 1, cell - 2, cell - 2);
  });
}

/** Bytes of either sign, 128 is zero, as a square image. */
function signedImage(text) {
  const values = bytes(text), side = Math.round(Math.sqrt(values.length)), { rgb } = scheme();
  const image = new ImageData(side, side);
  values.forEach((value, at) => image.data.set([...between((value - 128) / 127, rgb), 255], 4 * at));
  const sheet = new OffscreenCanvas(side, side);
  sheet.getContext("2d").putImageData(image, 0, 0);
  return sheet;
}

export function drawUnits(place, { kind, layers }, { units }) {
  if (!units) return void place.replaceChildren();
  const wanted = units.map((layer) => layer.length).join();
  if (place.dataset.holds !== wanted || !place.children.length) {
    place.dataset.holds = wanted;
    place.replaceChildren(...units.map((layer, at) => {
      const row = Object.assign(document.createElement("div"), { className: "layer" });
      const all = layers[at].units, more = all > layer.length ? `, the first ${layer.length} of ${all}` : "";
      row.append(Object.assign(document.createElement("p"), { textContent: `layer ${at + 1}${more}` }));
      row.append(...layer.map((_, unit) => {
        const canvas = document.createElement("canvas");
        canvas.setAttribute("role", "img");
        canvas.ariaLabel = `Unit ${unit + 1} of layer ${at + 1}`;
        return canvas;
      }));
      return row;
    }));
  }
  units.forEach((layer, at) => layer.forEach((unit, number) => {
    const [ink, width, height] = pen(place.children[at].querySelectorAll("canvas")[number]);
    if (kind === "plane") {
      ink.drawImage(signedImage(unit), 0, 0, width, height);
    } else {
      const values = bytes(unit), points = Array.from(values, (value, x) => [4 + (width - 8) * x / (values.length - 1), height - 4 - (height - 8) * (value - 1) / 254]);
      stroke(ink, [[0, height / 2], [width, height / 2]], { strokeStyle: scheme().line, lineWidth: 1 });
      stroke(ink, points, { strokeStyle: `rgb(${ORANGE})`, lineWidth: 2 });
    }
  }));
}

/** Lines by epoch: of training solid, of held-out examples dashed; the seed looked at on top. */
export function drawChart(canvas, series, epochs) {
  if (canvas.closest("[hidden]")) return;
  const [ink, width, height] = pen(canvas);
  const { soft, line, text, dark } = scheme();
  const box = [44, 6, width - 52, height - 28];
  const [low, high] = range(series);
  const last = Math.max(1, ...series.map(({ rows }) => rows.at(-1)?.epoch ?? 1));
  const end = Math.min(epochs, Math.max(10, Math.ceil(last * 1.1)));
  const place = placer([1, Math.max(2, end)], [low, high], box);
  ink.font = "12px system-ui, sans-serif";
  ink.fillStyle = soft;
  ink.textAlign = "right";
  ink.textBaseline = "middle";
  for (const value of [low, (low + high) / 2, high]) {
    const y = place(1, value)[1];
    stroke(ink, [[box[0], y], [box[0] + box[2], y]], { strokeStyle: line, lineWidth: 1 });
    ink.fillText(Number(value.toPrecision(2)), box[0] - 6, y);
  }
  ink.textBaseline = "top";
  ink.textAlign = "left";
  ink.fillText("1", box[0], height - 16);
  ink.textAlign = "right";
  ink.fillText(`epoch ${Math.max(2, end)}`, box[0] + box[2], height - 16);
  const blue = dark ? "#7fb0ff" : "#2166d6";
  for (const { rows, name, isShown } of [...series].sort((a, b) => a.isShown - b.isShown)) {
    const every = Math.ceil(rows.length / MOST_POINTS) || 1;
    const kept = rows.filter((_, at) => at % every === 0 || at === rows.length - 1);
    for (const key of [name, `val_${name}`]) {
      const points = kept.filter((row) => typeof row[key] === "number").map((row) => place(row.epoch, Math.min(high, row[key])));
      ink.setLineDash(key === name ? [] : [5, 4]);
      stroke(ink, points, { strokeStyle: isShown ? (key === name ? blue : text) : soft, lineWidth: isShown ? 2 : 1, globalAlpha: isShown ? 1 : 0.5 });
    }
  }
  ink.setLineDash([]);
  ink.globalAlpha = 1;
}

/** From 0 up to what is seen; of accuracies from the lowest up to 1. */
function range(series) {
  const values = series.flatMap(({ rows, name }) => rows.flatMap((row) => [row[name], row[`val_${name}`]])).filter((value) => typeof value === "number");
  if (!values.length) return [0, 1];
  let lowest = Infinity, highest = -Infinity;
  for (const value of values) [lowest, highest] = [Math.min(lowest, value), Math.max(highest, value)];
  return series[0].name === "accuracy" ? [Math.min(0.9, Math.floor(10 * lowest) / 10), 1] : [0, highest || 1];
}

/** From values to places in a box [left, top, width, height]. */
function placer([left, right], [low, high], box) {
  return (x, y) => [box[0] + box[2] * (x - left) / (right - left), box[1] + box[3] * (1 - (y - low) / (high - low))];
}

function stroke(ink, points, style) {
  if (!points.length) return;
  Object.assign(ink, style);
  ink.beginPath();
  points.forEach(([x, y], at) => (at ? ink.lineTo(x, y) : ink.moveTo(x, y)));
  if (points.length === 1) ink.lineTo(points[0][0] + 1, points[0][1]);
  ink.stroke();
}

/** What the colours mean, as nodes. */
export function classKey({ kind, classes }) {
  if (kind === "plane") return [`● ${classes[0]} (blue)   ▲ ${classes[1]} (orange). The line is where both are equally likely.`];
  if (kind === "curve") return ["Dots: training examples. Line: the network."];
  if (kind === "images") return ["The weights into each unit of the first layer, an image each: orange positive, blue negative."];
  return [];
}
