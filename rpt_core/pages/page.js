(() => {
  // Figures: the words of the nearest mark, for a pointer, a finger or the arrow keys.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const NEAR = 28;
  document.querySelectorAll("svg .marks").forEach((group) => {
    group.querySelectorAll("title").forEach((title) => {
      const shape = title.parentNode;
      shape.dataset.words = title.textContent;
      shape.setAttribute("aria-label", title.textContent);
      title.remove(); // else the browser shows its own as well
    });
  });
  document.querySelectorAll("svg").forEach((svg) => {
    const shapes = [...svg.querySelectorAll("[data-words]")];
    if (!shapes.length) return;
    let shown = -1;
    const distance = (box, x, y) =>
      Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
    const show = (index) => {
      shapes.forEach((shape, i) => shape.classList.toggle("hot", i === index));
      shown = index;
      tip.hidden = index < 0;
      if (index < 0) return;
      tip.textContent = shapes[index].dataset.words;
      const box = shapes[index].getBoundingClientRect();
      const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 8), innerWidth - tip.offsetWidth - 8);
      const above = box.top - tip.offsetHeight - 8;
      tip.style.left = `${left + scrollX}px`;
      tip.style.top = `${(above < 0 ? box.bottom + 8 : above) + scrollY}px`;
    };
    svg.addEventListener("pointermove", (event) => {
      const far = shapes.map((shape) => distance(shape.getBoundingClientRect(), event.clientX, event.clientY));
      const least = Math.min(...far);
      show(least <= NEAR ? far.indexOf(least) : -1);
    });
    svg.addEventListener("pointerleave", () => show(-1));
    svg.addEventListener("blur", () => show(-1));
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show((shown + step + shapes.length) % shapes.length);
    });
  });

  // Tables wider than the page: first closer together, on a phone one row below the other, nothing cut.
  const NARROW = 821;
  const scrolls = [...document.querySelectorAll(".scroll")];
  scrolls.forEach((scroll) => {
    const table = scroll.querySelector("table");
    const names = table && table.tHead ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent) : [];
    [...(table ? table.tBodies : [])].forEach((body) =>
      [...body.rows].forEach((row) => {
        if (row.cells.length !== names.length) return;
        [...row.cells].forEach((cell, i) => {
          if (i) cell.dataset.label = names[i];
        });
      }),
    );
  });
  const fit = () =>
    scrolls.forEach((scroll) => {
      scroll.classList.remove("dense", "stacked");
      const isCut = () => scroll.scrollWidth > scroll.clientWidth + 1;
      if (isCut()) scroll.classList.add(innerWidth < NARROW ? "stacked" : "dense");
    });
  fit();
  addEventListener("resize", fit);

  // Tables: a click on a heading sorts the rows below it, within each group; a third click restores them.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    return cell.dataset.key === undefined ? read(cell.textContent.trim()) : Number(cell.dataset.key);
  };
  const SIZES = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
  const read = (text) => {
    const found = /^([+\u2212-]?[\d\u2009]+(?:\.\d+)?)\s*([kMGTP]?)(?=[\s%]|$)/.exec(text);
    return found ? Number(found[1].replace("\u2212", "-").replace(/\u2009/g, "")) * SIZES[found[2]] : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b
      : typeof a === "number" ? -1
      : typeof b === "number" ? 1
      : a.localeCompare(b, "en", { numeric: true });
  document.querySelectorAll("table").forEach((table) => {
    const body = table.tBodies[0];
    if (!table.tHead || !body || body.rows.length < 3) return;
    const original = [...body.rows];
    const sort = (column, order) => {
      let run = [];
      const flush = () => {
        if (order) run.sort((a, b) => order * compare(key(a, column), key(b, column)));
        run.forEach((row) => body.append(row));
        run = [];
      };
      original.forEach((row) => {
        if (row.className !== "group") return run.push(row);
        flush();
        body.append(row);
      });
      flush();
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.tabIndex = 0;
      head.classList.add("sorts");
      const turn = () => {
        const numbers = original.some((row) => typeof key(row, column) === "number");
        const [first, second] = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
        const now = head.getAttribute("aria-sort");
        const next = now === null ? first : now === first ? second : null;
        [...table.tHead.rows[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        sort(column, { ascending: 1, descending: -1 }[next] || 0);
      };
      head.addEventListener("click", turn);
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          turn();
        }
      });
    });
  });
})();
