// @ts-check
// Sends the forms of /docs and shows what came back. It knows no route: everything is in the form's own attributes.

const SHOWN_HEADERS = ["x-model", "x-seed", "x-fit", "x-palette-snapped", "server-timing", "x-request-id", "retry-after"];
const LONGEST_TEXT = 20000;

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(form);
  });
}
void offerModels();

/** @param {HTMLFormElement} form */
async function send(form) {
  const answer = /** @type {HTMLElement} */ (form.parentElement?.querySelector(".answer"));
  answer.hidden = false;
  answer.textContent = "…";
  const { address, body } = readForm(form);
  try {
    const response = await fetch(address, { method: form.dataset.method, body, headers: body ? { "Content-Type": body.type } : {} });
    answer.replaceChildren(describe(response), await show(response));
  } catch (error) {
    answer.textContent = String(error);
  }
}

/**
 * @param {HTMLFormElement} form
 * @returns {{address: string, body: File | undefined}}
 */
function readForm(form) {
  let path = form.dataset.path ?? "/";
  const query = new URLSearchParams();
  /** @type {File | undefined} */
  let body;
  for (const field of form.querySelectorAll("input, select")) {
    const control = /** @type {HTMLInputElement} */ (field);
    const place = control.dataset.place;
    if (place === "body") body = control.files?.[0];
    else if (place === "path") path = path.replace(`{${control.name}}`, encodeURIComponent(control.value));
    else if (control.value) query.set(control.name, control.value);
  }
  return { address: query.size ? `${path}?${query}` : path, body };
}

/** @param {Response} response */
function describe(response) {
  const lines = [`${response.status} ${response.headers.get("content-type") ?? ""}`];
  for (const name of SHOWN_HEADERS) {
    const value = response.headers.get(name);
    if (value) lines.push(`${name}: ${value}`);
  }
  return preformatted(lines.join("\n"));
}

/** @param {Response} response */
async function show(response) {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("image/")) {
    const image = document.createElement("img");
    image.alt = "The picture that came back";
    image.src = URL.createObjectURL(await response.blob());
    return image;
  }
  const text = type.startsWith("application/octet-stream") ? `${(await response.blob()).size} bytes` : await response.text();
  return preformatted((type.includes("json") ? pretty(text) : text).slice(0, LONGEST_TEXT));
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} text */
function preformatted(text) {
  const element = document.createElement("pre");
  element.textContent = text;
  return element;
}

async function offerModels() {
  const list = document.querySelector("#models");
  const answer = await fetch("/models");
  const { models } = /** @type {{models: {id: string}[]}} */ (await answer.json());
  for (const model of models) {
    const option = document.createElement("option");
    option.value = model.id;
    list?.append(option);
  }
}
