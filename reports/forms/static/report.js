const narrow = 480;
const refuse = () => Promise.reject(new Error("A report loads nothing."));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
const tooltip = document.getElementById("tooltip");

function cut(text) {
  const characters = Array.from(String(text));
  return characters.length > 120 ? `${characters.slice(0, 119).join("")}…` : characters.join("");
}

function showTooltip(_handler, event, _item, value) {
  tooltip.replaceChildren();
  if (value === null || value === undefined || value === "") {
    tooltip.hidden = true;
    return;
  }
  const pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
  for (const [key, text] of pairs) {
    if (text === null || text === "null" || text === "") continue;
    const line = document.createElement("div");
    const term = document.createElement("span");
    const description = document.createElement("bdi");
    term.textContent = key ? `${cut(key)}: ` : "";
    description.textContent = cut(text);
    line.append(term, description);
    tooltip.append(line);
  }
  tooltip.hidden = false;
  const room = 12;
  const box = tooltip.getBoundingClientRect();
  const right = document.documentElement.clientWidth - box.width - room;
  const below = event.clientY + room + box.height < window.innerHeight;
  tooltip.style.left = `${Math.max(room, Math.min(event.clientX + room, right))}px`;
  tooltip.style.top = `${below ? event.clientY + room : event.clientY - box.height - room}px`;
}

function shorten(part, most) {
  if (Array.isArray(part)) {
    for (const inner of part) shorten(inner, most);
  } else if (part && typeof part === "object") {
    for (const [key, inner] of Object.entries(part)) {
      if (key === "datasets" || key === "data") continue;
      if (key === "axis" && inner) {
        inner.labelLimit = Math.min(inner.labelLimit || 180, most);
        inner.labelExpr = "split(datum.label, ' (n = ')[0]"; // n is in the tooltip and in the table
      }
      if (key === "legend" && inner) inner.columns = 1;
      shorten(inner, most);
    }
  }
}

function fitted(specification, room) {
  if (!JSON.stringify(specification).includes('"tooltip":')) {
    specification.config.mark = { ...specification.config.mark, tooltip: true };
  }
  const single = specification.mark || specification.layer;
  if (!single) return specification;
  const wide = typeof specification.width === "number" ? specification.width + 260 : 680;
  specification.width = Math.min(room, wide);
  specification.padding = { left: 4, top: 5, bottom: 5, right: 24 };
  specification.autosize = { type: "fit-x", contains: "padding" };
  if (room < narrow) {
    shorten(specification, Math.floor(room * 0.42));
    const axis = specification.config.axis || {};
    specification.config.axis = { ...axis, labelFontSize: 12, titleFontSize: 12 };
    const legend = specification.config.legend || {};
    specification.config.legend = {
      ...legend,
      columns: 1,
      labelFontSize: 12,
      labelLimit: room - 60,
    };
    specification.config.axisX = {
      ...specification.config.axisX,
      labelOverlap: true,
      tickCount: 4,
    };
  }
  return specification;
}

// Returns by how many pixels the widest text of a chart goes beyond the right edge of its box.
function overhang(box) {
  const edge = box.getBoundingClientRect().right;
  const texts = Array.from(box.querySelectorAll("svg text"));
  const beyond = texts.map((text) => text.getBoundingClientRect().right - edge);
  return Math.ceil(Math.max(0, ...beyond));
}

async function drawChart(figure) {
  const room = Math.floor(figure.clientWidth);
  if (!room || figure.dataset.room === String(room)) return;
  figure.dataset.room = String(room);
  const box = figure.querySelector(".live");
  const text = figure.querySelector("script[type='application/json']").textContent;
  const options = {
    ast: true,
    actions: false,
    renderer: "svg",
    mode: "vega-lite",
    tooltip: showTooltip,
    loader,
  };
  try {
    await document.fonts.ready; // Vega measures its texts in the font of the page
    if (figure.view) figure.view.finalize();
    const specification = fitted(JSON.parse(text), room);
    figure.view = await vegaEmbed(box, specification, options);
    figure.classList.add("is-live");
    const beyond = specification.padding ? overhang(box) : 0;
    if (beyond) {
      figure.view.finalize();
      specification.padding.right += beyond;
      figure.view = await vegaEmbed(box, specification, options);
    }
    box.querySelector("svg").setAttribute("aria-hidden", "true");
    figure.read = -1;
  } catch (error) {
    console.error(`The chart ${figure.id} stays a picture.`, error);
  }
}

function pointsOf(box) {
  const marks = Array.from(box.querySelectorAll("svg :is(.mark-symbol, .mark-rect) path"));
  return marks.filter((mark) => mark.__data__?.tooltip);
}

function readPoint(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const box = event.currentTarget;
  const points = pointsOf(box);
  if (!step || !points.length) return;
  event.preventDefault();
  const figure = box.closest("figure");
  const first = step > 0 ? 0 : points.length - 1;
  figure.read = figure.read < 0 ? first : (figure.read + step + points.length) % points.length;
  const point = points[figure.read];
  const at = point.getBoundingClientRect();
  const middle = { clientX: at.x + at.width / 2, clientY: at.y + at.height / 2 };
  showTooltip(null, middle, point.__data__, point.__data__.tooltip);
}

document.querySelectorAll("figure .live").forEach((box) => {
  box.addEventListener("keydown", readPoint);
  box.addEventListener("blur", () => {
    tooltip.hidden = true;
  });
});

const charts = document.querySelectorAll("figure[data-live]");
const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) drawChart(entry.target);
    }
  },
  { rootMargin: "400px" },
);
for (const figure of charts) near.observe(figure);

let waiting = 0;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => document.querySelectorAll("figure.is-live").forEach(drawChart), 200);
});

const nav = document.querySelector("nav[aria-label='Pages']");

function makeRoom() {
  // keeps the target of a link below the navigation, however many rows that fills
  const covers = getComputedStyle(nav).position === "sticky";
  document.documentElement.style.scrollPaddingTop = `${covers ? nav.offsetHeight : 0}px`;
}

window.addEventListener("resize", makeRoom);

const pages = Array.from(document.querySelectorAll(".page"));
const links = Array.from(document.querySelectorAll("nav[aria-label='Pages'] a"));
const windowTitle = document.title;

function show(isFirst) {
  const name = location.hash.slice(1);
  const target = name ? document.getElementById(name) : null;
  const page = target?.closest(".page") || (isFirst || !name ? pages[0] : null);
  if (!page) return;
  tooltip.hidden = true;
  for (const other of pages) other.classList.toggle("is-open", other === page);
  links.forEach((link) => {
    if (link.hash === `#${page.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  makeRoom(); // the link of the page is bold now, which may take another row
  const heading = page.querySelector("h2");
  document.title = `${heading.textContent} · ${windowTitle}`;
  if (target && target !== page) {
    const fold = target.closest("details");
    if (fold) fold.open = true;
    target.scrollIntoView();
  } else if (!isFirst) {
    window.scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
}

window.addEventListener("hashchange", () => show(false));
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tooltip.hidden = true;
});
window.addEventListener(
  "scroll",
  () => {
    tooltip.hidden = true;
  },
  { passive: true },
);
show(true);
