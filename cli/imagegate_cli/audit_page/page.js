"use strict";
// Sorts and filters the findings. The table is complete without it.
const table = document.querySelector(".findings");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const shown = document.getElementById("shown");
  const controls = document.querySelector(".filters");
  const fields = [...controls.querySelectorAll("input, select")];
  controls.hidden = false;

  const filter = () => {
    const words = fields[0].value.toLowerCase().split(/\s+/);
    const wanted = fields.slice(1).filter((field) => field.value);
    let number = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((field) => row.dataset[field.name] === field.value);
      row.hidden = !(fits && words.every((word) => text.includes(word)));
      number += row.hidden ? 0 : 1;
    }
    shown.textContent = `${number} of ${rows.length} findings`;
  };
  fields.forEach((field) => field.addEventListener("input", filter));
  filter();

  const keyOf = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      [...table.tHead.rows[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      rows.sort((one, other) => sign * keyOf(one, column).localeCompare(keyOf(other, column), "en", {numeric: true}));
      body.append(...rows);
    });
  });
}
