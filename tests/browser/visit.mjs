// Opens one written report in Chromium, from disk and without a network, and observes it.
//   node visit.mjs REPORT_FOLDER SCREENSHOTS_FOLDER [CHROMIUM]
// Prints one JSON object, which tests/test_reports_browser.py checks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [folder, screenshots, executablePath = "/usr/bin/chromium"] = process.argv.slice(2);
const address = pathToFileURL(join(folder, "index.html")).href;
const sheet = pathToFileURL(join(folder, "service-levels.html")).href;
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-background-networking", "--disable-gpu"],
});

const observed = {
  pages: {},
  requests: [],
  console: [],
  dialogs: [],
  errors: [],
  violations: [],
  audited: [],
  popups: [],
  hacked: false,
};

async function openPage(size, options = {}) {
  const context = await browser.newContext({ viewport: size, bypassCSP: false, ...options });
  await context.setOffline(true);
  const page = await context.newPage();
  page.on("request", (request) => observed.requests.push(request.url().slice(0, 300)));
  page.on("console", (message) => {
    if (message.type() !== "debug") observed.console.push(message.text().slice(0, 500));
  });
  page.on("dialog", (dialog) => {
    observed.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  page.on("pageerror", (error) => observed.errors.push(String(error).slice(0, 500)));
  context.on("page", (popup) => {
    if (popup !== page) observed.popups.push(popup.url());
  });
  return { context, page };
}

// Returns the ids of figures that the navigation covers when a link leads to them.
async function coveredByNavigation(page, ids) {
  const hidden = [];
  for (const id of ids) {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, id);
    await page.waitForFunction(
      (at) => document.getElementById(at).getBoundingClientRect().top < window.innerHeight,
      id,
    );
    if (
      await page.evaluate(
        (at) =>
          document.getElementById(at).getBoundingClientRect().top <
          document.querySelector("nav").getBoundingClientRect().bottom,
        id,
      )
    )
      hidden.push(id);
  }
  return hidden;
}

// Adds the violations that axe-core finds.
async function audit(page, where) {
  await page.evaluate(axe);
  // The content of a chart is hidden from screen readers; its frame describes it in words.
  const results = await page.evaluate(() =>
    axe.run({ exclude: ["figure svg"] }, { resultTypes: ["violations"] }),
  );
  observed.audited.push(where);
  for (const violation of results.violations) {
    observed.violations.push({
      where,
      id: violation.id,
      impact: violation.impact,
      nodes: violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
    });
  }
}

// Opens the folds of the open page, and scrolls through it, so that every chart is drawn. Returns
// facts of each figure.
async function drawCharts(page) {
  await page.evaluate(() =>
    document.querySelectorAll(".page.is-open details:has(figure)").forEach((fold) => {
      fold.open = true;
    }),
  );
  const figures = page.locator(".page.is-open figure[data-live]");
  for (const figure of await figures.all()) {
    await figure.scrollIntoViewIfNeeded();
    await page
      .waitForFunction(
        (element) => element.classList.contains("is-live"),
        await figure.elementHandle(),
        { timeout: 15_000 },
      )
      .catch(() => {});
  }
  return page.evaluate(() =>
    Array.from(document.querySelectorAll(".page.is-open figure"), (figure) => ({
      id: figure.id,
      live: figure.classList.contains("is-live"),
      marks: figure.querySelectorAll(
        ".live svg [class*='mark-']:not(.role-axis-domain) path, " +
          ".live svg .mark-rect path, .live svg .mark-rule line",
      ).length,
      right: Math.max(
        0,
        ...Array.from(
          figure.querySelectorAll(".live svg, .live svg text"),
          (part) => part.getBoundingClientRect().right,
        ),
      ),
      still: figure.querySelectorAll(".still svg, .still img").length,
    })),
  );
}

// Points at marks until one shows a tooltip. Returns the text of the tooltip.
async function readTooltip(page, figure) {
  const chart = `#${figure} .live svg`;
  await page.locator(chart).scrollIntoViewIfNeeded();
  const symbols = page.locator(`${chart} :is(.mark-symbol, .mark-rect) > path`);
  const marks = (await symbols.count()) ? symbols : page.locator(`${chart} .role-mark > path`);
  for (let i = 0; i < Math.min(await marks.count(), 20); i++) {
    const box = await marks.nth(i).boundingBox();
    if (!box || box.width < 2 || box.height < 2) continue;
    if (box.y < 0 || box.y > 700) await marks.nth(i).scrollIntoViewIfNeeded();
    const { x, y, width, height } = await marks.nth(i).boundingBox();
    await page.mouse.move(x + width / 2 - 1, y + height / 2 - 1);
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.waitForTimeout(60);
    if (await page.locator("#tooltip").isVisible()) {
      const text = await page.locator("#tooltip").innerText();
      const inside = await page.evaluate(() => {
        const box = document.getElementById("tooltip").getBoundingClientRect();
        return box.left >= 0 && box.right <= window.innerWidth && box.top >= 0;
      });
      const elements = await page.locator("#tooltip :not(div):not(span):not(bdi)").count();
      return { text, inside, elements };
    }
  }
  return null;
}

// Reads a chart with the arrow keys. Returns the tooltips of its first three points.
async function readByArrows(page, figure) {
  await page.locator(`#${figure} .live`).focus();
  await page.waitForTimeout(100); // the focus scrolls, and scrolling hides the tooltip
  const texts = [];
  for (let i = 0; i < 3; i++) {
    await page.keyboard.press("ArrowRight");
    texts.push(
      (await page.locator("#tooltip").isVisible())
        ? await page.locator("#tooltip").innerText()
        : "",
    );
  }
  await page.evaluate(() => document.activeElement.blur());
  return { texts, hidden: !(await page.locator("#tooltip").isVisible()) };
}

// Opens the table below a chart with the enter key. Returns the number of its visible rows.
async function openTable(page, figure) {
  const fold = page.locator(`#${figure} details > summary`);
  if (!(await fold.count())) return null;
  await fold.focus();
  await page.keyboard.press("Enter");
  const rows = await page.locator(`#${figure} details tbody tr:visible`).count();
  return { rows, summary: await fold.innerText() };
}

// Presses the tabulator key until the focus is back at the start. Returns what had the focus.
async function tabThrough(page) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    window.scrollTo(0, 0);
  });
  const wanted = await page.evaluate(() => {
    const all = Array.from(
      document.querySelectorAll("a[href], summary, button, input, [tabindex='0']"),
    );
    all.forEach((element) => {
      delete element.dataset.wanted;
    });
    const shown = all.filter((element) => element.checkVisibility());
    shown.forEach((element, i) => {
      element.dataset.wanted = String(i);
    });
    return shown.length;
  });
  const reached = new Set();
  let withoutOutline = 0;
  for (let i = 0; i < wanted + 20; i++) {
    await page.keyboard.press("Tab");
    const state = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      return {
        number: element.dataset ? element.dataset.wanted : undefined,
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
      };
    });
    if (state.number === undefined) continue;
    reached.add(state.number);
    if (!state.outlined) withoutOutline += 1;
  }
  return { wanted, reached: reached.size, withoutOutline };
}

for (const [name, size] of Object.entries(sizes)) {
  const { context, page } = await openPage(size, name === "phone" ? { hasTouch: true } : {});
  await page.goto(address);
  const slugs = await page.evaluate(() =>
    Array.from(document.querySelectorAll("nav a"), (link) => link.hash.slice(1)),
  );
  const isUsual = slugs.length < 15; // the report of attacks has a page for each attack
  observed.slugs = slugs;
  for (const slug of slugs) {
    await page.click(`nav a[href="#${slug}"]`);
    await page.waitForFunction(
      (id) => document.getElementById(id).classList.contains("is-open"),
      slug,
    );
    const figures = await drawCharts(page);
    const facts = await page.evaluate(() => ({
      title: document.title,
      current: document.querySelectorAll("nav a[aria-current='page']").length,
      open: Array.from(document.querySelectorAll(".page.is-open"), (element) => element.id),
      wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      withoutCaption: document.querySelectorAll(".page.is-open table:not(:has(caption))").length,
    }));
    const tooltips = {};
    for (const figure of figures.slice(0, 4))
      tooltips[figure.id] = await readTooltip(page, figure.id);
    await page.mouse.move(0, 0);
    const isAudited = name === "desktop" ? isUsual || figures.length : slugs.length < 8;
    if (isAudited) await audit(page, `${slug} ${name}`); // slow, so not on every page
    const arrows = {},
      rows = {};
    if (name === "desktop" && isUsual) {
      for (const figure of figures) {
        if (figure.live) arrows[figure.id] = await readByArrows(page, figure.id);
        rows[figure.id] = await openTable(page, figure.id);
      }
    }
    const keyboard = name === "desktop" && isUsual ? await tabThrough(page) : null;
    const hidden = figures.length
      ? await coveredByNavigation(
          page,
          figures.map((figure) => figure.id),
        )
      : [];
    await page.evaluate(() =>
      document.querySelectorAll("figure details, details:has(figure)").forEach((fold) => {
        fold.open = false;
      }),
    );
    await page.evaluate(() => {
      document.activeElement?.blur();
      window.scrollTo(0, 0);
    });
    if (screenshots && (isUsual || figures.length)) {
      await page.screenshot({ path: join(screenshots, `${slug}-${name}.png`), fullPage: true });
    }
    observed.pages[`${slug} ${name}`] = {
      ...facts,
      figures,
      tooltips,
      arrows,
      rows,
      keyboard,
      hidden,
    };
  }
  observed.hacked ||= await page.evaluate(() => "hacked" in window);
  if (name === "desktop") {
    await page.evaluate(() => {
      window.beyondTheSheet = () =>
        Array.from(document.querySelectorAll("main *"))
          .filter(
            (element) =>
              element.checkVisibility() &&
              !element.closest("caption") &&
              element.getBoundingClientRect().right > window.innerWidth + 1,
          )
          .map((element) => element.outerHTML.slice(0, 200))
          .slice(0, 5);
    });
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 680, height: 1000 }); // A4 less its margins
    observed.print = await page.evaluate(() => ({
      pages: Array.from(document.querySelectorAll(".page"), (element) => element.checkVisibility()),
      still: Array.from(document.querySelectorAll("figure"), (element) =>
        element.querySelector(".still").checkVisibility(),
      ),
      live: Array.from(document.querySelectorAll("figure .live"), (element) =>
        element.checkVisibility(),
      ),
      wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      beyond: beyondTheSheet(),
      whole: Array.from(
        document.querySelectorAll("figure, .takeaways, .needs, .page tr"),
        (element) => getComputedStyle(element).breakInside,
      ),
      // Chromium splits a block after its heading in spite of this rule, but no inline block.
      blocks: Array.from(
        document.querySelectorAll("figure, .whole, .short"),
        (element) => getComputedStyle(element).display,
      ),
      followed: Array.from(
        document.querySelectorAll(".page h2, .page h3, figcaption, .finding"),
        (element) => getComputedStyle(element).breakAfter,
      ),
      tallest: Math.max(
        ...Array.from(
          document.querySelectorAll("figure"),
          (element) => element.getBoundingClientRect().height,
        ),
      ),
    }));
    const pdf = await page.pdf({
      format: "A4",
      path: screenshots ? join(screenshots, "print.pdf") : undefined,
    });
    observed.print.sheets = (pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length;
    await page.emulateMedia({ media: null });
  }
  await context.close();
}

{
  // Without scripts all pages are below each other.
  const { context, page } = await openPage(sizes.desktop, { javaScriptEnabled: false });
  await page.goto(address);
  observed.bare = {
    shown: await page.locator(".page:visible").count(),
    all: await page.locator(".page").count(),
    still: await page.locator("figure:not(details figure) .still:visible").count(),
    figures: await page.locator("figure:not(details figure)").count(),
  };
  await context.close();
}

{
  // The service levels, a form of one sheet for both teams.
  const { context, page } = await openPage(sizes.desktop);
  const response = await page.goto(sheet).catch(() => null);
  if (response) {
    await audit(page, "service-levels sheet");
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 700, height: 1030 });
    observed.sheetWider = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    const path = screenshots ? join(screenshots, "service-levels.pdf") : undefined;
    const pdf = await page.pdf({ preferCSSPageSize: true, path });
    observed.sheets = (pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length;
    if (screenshots)
      await page.screenshot({
        path: join(screenshots, "service-levels-sheet.png"),
        fullPage: true,
      });
  }
  await context.close();
}

await browser.close();
console.log(JSON.stringify(observed));
