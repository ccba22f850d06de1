// Files and folders, dropped or chosen: sent one by one to /files, with their place within the folder. Then "upload" says which parcel.
const zone = element.querySelector(".fs-drop");
const said = element.querySelector(".fs-drop-said");
const bar = element.querySelector(".fs-progress");
const again = element.querySelector(".fs-drop-remove");
const words = zone.dataset;
const SIDE_BY_SIDE = 4, TOLD = 4;
let token = "", busy = false;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const post = async (path, body) => (await fetch(path, { method: "POST", body })).json();

async function listed(entry, before = "") {
  if (entry.isFile) return [[before + entry.name, await new Promise((done, wrong) => entry.file(done, wrong))]];
  const reader = entry.createReader(), found = [];
  for (;;) { // A reader gives a hundred entries at a time.
    const part = await new Promise((done, wrong) => reader.readEntries(done, wrong));
    if (!part.length) return found;
    for (const inner of part) found.push(...(await listed(inner, before + entry.name + "/")));
  }
}

function show(text, refused = []) {
  said.textContent = text;
  const list = element.querySelector(".fs-drop-refused");
  list.replaceChildren(...refused.slice(0, TOLD).map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  if (refused.length > TOLD) list.append(Object.assign(document.createElement("li"), { textContent: fill(words.more, { count: refused.length - TOLD }) }));
}

async function send(files) {
  if (busy || !files.length) return;
  busy = true;
  zone.classList.add("busy");
  await leave();
  const refused = [];
  let done = 0, bytes = 0, taken = 0;
  const all = files.reduce((sum, [, file]) => sum + file.size, 0) || 1;
  bar.hidden = false;
  try {
    token = (await post("/files")).token;
    const waiting = files.slice();
    const work = async () => {
      for (let next; (next = waiting.shift()); ) {
        const [name, file] = next;
        const hidden = name.split("/").some((part) => part.startsWith("."));
        if (file.size > Number(words.largest)) refused.push(fill(words.large, { name }));
        else if (!hidden) {
          const answer = await post(`/files/${token}?name=${encodeURIComponent(name)}&language=${words.language}`, file);
          if (answer.refused) refused.push(answer.refused);
          else taken += 1;
        }
        done += 1;
        bytes += file.size;
        bar.firstElementChild.style.width = `${(100 * bytes) / all}%`;
        show(fill(words.sending, { done, all: files.length }));
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  } catch (problem) {
    refused.push(words.broken);
  }
  bar.hidden = true;
  busy = false;
  zone.classList.remove("busy");
  show(taken ? fill(words.sent, { count: taken }) : words.nothing, refused);
  again.hidden = !taken;
  if (taken) trigger("upload", { token });
  else await leave();
}

async function leave() {
  if (token) await post(`/files/${token}/remove`);
  token = "";
  again.hidden = true;
}

for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const plain = [...event.dataTransfer.files].map((file) => [file.name, file]);
  show(words.reading);
  const files = entries.length ? (await Promise.all(entries.map((entry) => listed(entry)))).flat() : plain;
  if (files.length) send(files);
  else show(words.nothing);
});
for (const input of element.querySelectorAll("input")) {
  element.querySelector(`[data-for=${input.name}]`).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    send([...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
    input.value = "";
  });
}
again.addEventListener("click", async () => {
  await leave();
  show("");
  trigger("clear", {});
});
