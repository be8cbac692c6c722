"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const byId = (id) => document.getElementById(id);
  const views = new Map();  // figure element -> Vega view

  // ---- figures, one after the other so that the page stays responsive
  const figures = [...document.querySelectorAll(".figure")];
  async function draw(figure) {
    // Vega takes the figure's label from its specification, else it is "Vega visualization"
    const spec = { ...specs[figure.dataset.spec], description: figure.getAttribute("aria-label") };
    // ast: expressions are interpreted, not compiled, so the page needs no eval
    const made = await vegaEmbed(figure, spec, { mode: "vega-lite", renderer: "svg", actions: false, ast: true });
    views.set(figure, made.view);
    figure.dataset.drawn = "true";
  }
  async function drawAll() {
    for (const figure of figures) {
      try { await draw(figure); } catch (error) {
        figure.textContent = "This figure could not be drawn: " + error.message;
        console.error(error);
      }
      await new Promise((next) => setTimeout(next));
    }
    applyProbe();
    applyFilter();
    markWide();
    document.documentElement.dataset.ready = "true";
  }

  // ---- filters
  const model = byId("filter-model"), data = byId("filter-data"), probe = byId("probe"), count = byId("shown-count");
  function setSignal(name, value) {
    for (const view of views.values()) {
      if (view.getState({ signals: (key) => key === name, data: () => false }).signals[name] === undefined) continue;
      view.signal(name, value).runAsync();
    }
  }
  function applyFilter() {
    if (!model) return;
    for (const part of document.querySelectorAll("[data-model], [data-data]")) {
      const other = (wanted, own) => wanted && own !== undefined && own !== wanted;
      part.hidden = other(model.value, part.dataset.model) || other(data.value, part.dataset.data);
    }
    setSignal("shown", model.value ? [model.value] : null);
    const cards = [...document.querySelectorAll("#layers .card")];
    const left = cards.filter((card) => !card.hidden).length;
    count.textContent = left === cards.length ? "" : left + " of " + cards.length + " configurations shown";
    window.dispatchEvent(new Event("resize"));  // figures that were hidden have no width yet
  }
  function applyProbe() {
    if (!probe) return;
    setSignal("probe", probe.value);
    for (const note of document.querySelectorAll(".probe-note")) note.hidden = note.dataset.probe !== probe.value;
  }
  if (model) {
    model.addEventListener("change", applyFilter);
    data.addEventListener("change", applyFilter);
    probe.addEventListener("change", applyProbe);
    document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  }

  // ---- tables: a click on a heading sorts, a second one turns the order; what has no number comes last
  function sort(table, column, down) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => {
      const cell = row.cells[column];
      return { row, number: cell.dataset.value === undefined ? NaN : Number(cell.dataset.value), text: cell.textContent };
    });
    const numeric = rows.some((one) => !Number.isNaN(one.number));
    rows.sort((a, b) => {
      if (numeric) {
        const lost = Number.isNaN(a.number) - Number.isNaN(b.number);
        if (lost) return lost;
        if (!Number.isNaN(a.number) && a.number !== b.number) return (a.number - b.number) * (down ? -1 : 1);
        return 0;
      }
      return a.text.localeCompare(b.text, "en", { numeric: true }) * (down ? -1 : 1);
    });
    body.append(...rows.map((one) => one.row));
  }
  for (const table of document.querySelectorAll("main table")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => heading.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending"
        || (heading.classList.contains("num") && !heading.hasAttribute("aria-sort"));
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(table, column, down);
    }));
  }

  // ---- contents: the headings of the sections that are there
  byId("contents").append(...[...document.querySelectorAll("main > section[id] > h2:first-child")].map((heading) => {
    const link = document.createElement("a");
    [link.href, link.textContent] = ["#" + heading.parentElement.id, heading.textContent];
    return link;
  }));

  // ---- a table that is wider than its place says so
  function markWide() {
    for (const box of document.querySelectorAll(".scroll")) box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
  }
  window.addEventListener("resize", markWide);

  // ---- light and dark: what the system says until a person chooses
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => {
    if (one.querySelector("table") && !one.matches(".empty")) one.open = true;
  }));
  drawAll();
})();
