// Runs before the first paint, so that a chosen theme does not flash. The only things the page stores are this and the live mode.
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("inkwash.theme");
  } catch {
    // Storage may be forbidden; the system's theme is used then.
  }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  const show = () => {
    root.dataset.shade = root.dataset.theme ?? (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", show);
  show();
})();
