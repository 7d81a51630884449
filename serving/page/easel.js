// The sheet to draw on: dark on white, like a product picture, asked about like any other.

import { ask } from "./page.js";

const find = (id) => document.getElementById(id);
const easel = find("easel"), sheet = find("sheet"), cursor = find("cursor");
const pen = sheet.getContext("2d");
const STEPS = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] };

const START = [140, 60];

let at = START; // where the pen is, in pixels of the sheet
let drawings = 0;

function wipe() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  Object.assign(pen, { lineWidth: 26, lineCap: "round", lineJoin: "round", strokeStyle: "#333" });
  go(START, false);
}

/** A line from where the pen is, or only a move. */
function go(to, draws) {
  if (draws) {
    pen.beginPath();
    pen.moveTo(...at);
    pen.lineTo(...to);
    pen.stroke();
  }
  at = to;
  [cursor.style.left, cursor.style.top] = at.map((place) => `${(100 * place) / sheet.width}%`);
}

/** The pen shows where it is to who moves it with keys; a pointer does that by itself. */
function showCursor(shows) {
  sheet.classList.toggle("keyed", shows);
}

/** Where an event of a pointer is, in pixels of the sheet. */
function place(event) {
  const box = sheet.getBoundingClientRect();
  const scale = sheet.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

sheet.addEventListener("pointerdown", (event) => {
  sheet.setPointerCapture(event.pointerId);
  showCursor(false);
  go(place(event), false);
  go(place(event), true); // a touch leaves a dot
});
sheet.addEventListener("pointermove", (event) => {
  if (event.buttons) go(place(event), true);
});
sheet.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  showCursor(true);
  const inside = (value) => Math.min(270, Math.max(10, value));
  go([inside(at[0] + step[0]), inside(at[1] + step[1])], event.shiftKey);
});

find("draw").addEventListener("click", (event) => {
  easel.showModal();
  sheet.focus();
  showCursor(event.detail === 0); // clicked with a key
});
find("wipe").addEventListener("click", wipe);
find("close").addEventListener("click", () => easel.close());
find("hand-in").addEventListener("click", () => {
  sheet.toBlob((blob) => {
    drawings += 1;
    easel.close();
    ask([new File([blob], `drawing ${drawings}`, { type: "image/png" })]);
  });
});

wipe();
