// Tells which settings differ from what they were: {key: text} as the value of this part, with a "change" event.
const tell = () => {
  const changes = {};
  for (const part of element.querySelectorAll("[data-key]")) {
    const text = part.type === "checkbox" ? String(part.checked) : part.value.trim();
    const same = part.type === "range" || part.type === "number" ? Number(text) === Number(part.dataset.was) && !text === !part.dataset.was : text === part.dataset.was;
    part.closest(".fs-field").classList.toggle("changed", !same);
    if (!same) changes[part.dataset.key] = text;
  }
  props.value = JSON.stringify(changes);
  trigger("input", {});
};
element.addEventListener("input", (event) => {
  if (event.target.type === "range") event.target.nextElementSibling.value = event.target.value;
});
element.addEventListener("change", tell);
