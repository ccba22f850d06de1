// The page's language also for gradio's own words; light or dark as chosen; the language link keeps what the page is about.
(() => {
  const language = document.querySelector('meta[name="fenshen-language"]').content;
  Object.defineProperty(navigator, "language", { get: () => language });
  Object.defineProperty(navigator, "languages", { get: () => [language] });
  document.documentElement.lang = language;
  const wanted = () => localStorage.getItem("fenshen-theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const dress = () => {
    if (!document.body) return;
    document.body.classList.toggle("dark", wanted() === "dark");
    document.documentElement.style.colorScheme = wanted();
  };
  const begin = () => {
    const look = () => {
      if (document.body.classList.contains("dark") !== (wanted() === "dark")) dress();
      const here = document.querySelector("nav.fs-nav a[aria-current]");
      const title = here && here.dataset.page !== "start" ? `${here.textContent} · fenshen` : "fenshen";
      if (here && document.title !== title) document.title = title;
    };
    dress();
    look();
    new MutationObserver(look).observe(document.documentElement, { attributes: true, attributeFilter: ["class"], childList: true, subtree: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin(); // Gradio may put this script into a page that is there already.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.fs-language");
    if (link) link.search = location.search;
    if (event.target.closest("button.fs-theme")) {
      localStorage.setItem("fenshen-theme", wanted() === "dark" ? "light" : "dark");
      dress();
    }
  });
})();
