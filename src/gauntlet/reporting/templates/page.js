/* Search, filter and sort the list of claims and artefacts. Without it, the list is a plain table. */
(() => {
  "use strict";
  const table = document.querySelector("table.list");
  const controls = document.querySelector(".controls");
  if (!table || !controls) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const search = controls.querySelector("input");
  const choices = [...controls.querySelectorAll("select")];
  const count = controls.querySelector("output");

  for (const choice of choices) {
    const key = choice.dataset.key;
    for (const value of new Set(rows.map((row) => row.dataset[key]))) choice.add(new Option(value, value));
  }

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits =
        choices.every((choice) => !choice.value || row.dataset[choice.dataset.key] === choice.value) &&
        words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    count.value = `${shown} of ${rows.length}`;
  };

  const order = new Intl.Collator("en", { numeric: true });
  const cellValue = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((a, b) => order.compare(cellValue(a, column), cellValue(b, column)) * (down ? -1 : 1));
      body.append(...rows);
    });
  });

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) if (each.matches("details")) each.open = true;
    target.querySelector(":scope > details.body")?.setAttribute("open", "");
    target.scrollIntoView();
  };

  search.addEventListener("input", filter);
  for (const choice of choices) choice.addEventListener("change", filter);
  window.addEventListener("hashchange", reveal);
  controls.hidden = false;
  filter();
  reveal();
})();
