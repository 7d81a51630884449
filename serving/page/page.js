// The page: a picture goes in, a card with its answer comes out.

const find = (id) => document.getElementById(id);
const drop = find("drop"), files = find("files"), model = find("model");
const notice = find("notice"), answers = find("answers");

/** Fill the choice of models, and say which versions are not served and why. */
async function listModels() {
  const ready = await (await fetch("/health/ready")).json();
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
}

/** Put up a card for each picture and ask about all of them, one after another. */
async function ask(pictures) {
  const cards = pictures.map((picture) => [picture, putUpCard(picture)]);
  for (const [picture, card] of cards) {
    const answer = await predict(picture).catch((error) => ({ error: `No answer: ${error.message}` }));
    card.setAttribute("aria-busy", "false");
    if (answer.error) showError(card, answer);
    else showAnswer(card, answer);
  }
}

/** The server's answer to one picture, or {error}. */
async function predict(picture) {
  const form = new FormData();
  form.append("file", picture, picture.name);
  const response = await fetch(`/predict?top=5&explain=1&${model.value}`, { method: "POST", body: form });
  const body = await response.json();
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
}

function showAnswer(card, answer) {
  card.querySelector(".label").textContent = answer.label;
  card.querySelector(".doubt").hidden = !answer.uncertain;
  card.querySelector(".classes").append(...answer.top.map(bar));
  card.querySelector(".by").textContent = `${answer.model}, version ${answer.version}`;
  card.querySelector(".seen").hidden = false;
  paint(card.querySelector("canvas"), answer.input);
}

/** One class with its probability, as text and as a bar. */
function bar({ label, probability }) {
  const item = find("class").content.cloneNode(true);
  const share = `${(100 * probability).toFixed(1)} %`;
  item.querySelector(".class").textContent = label;
  item.querySelector(".share").textContent = share;
  item.querySelector(".bar").style.width = `${100 * probability}%`;
  return item;
}

/** Draw rows of grey levels 0–255. */
function paint(canvas, rows) {
  canvas.width = rows[0].length;
  canvas.height = rows.length;
  const rgba = rows.flat().flatMap((grey) => [grey, grey, grey, 255]);
  const image = new ImageData(new Uint8ClampedArray(rgba), canvas.width);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

files.addEventListener("change", () => {
  ask([...files.files]);
  files.value = ""; // so that the same picture can be chosen again
});
document.addEventListener("paste", (event) => ask([...event.clipboardData.files]));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") ask([...event.dataTransfer.files]);
  });
}

listModels().catch(() => { notice.textContent = "The server does not answer; reload the page."; });
