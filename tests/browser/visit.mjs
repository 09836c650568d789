// Opens one written report in Chromium, from disk and with the network off, and says what it saw.
//   node visit.mjs REPORT_FOLDER SCREENSHOTS_FOLDER [CHROMIUM]
// Prints one JSON object; tests/test_reports_browser.py judges it.
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

const seen = {
  pages: {},
  requests: [],
  console: [],
  dialogs: [],
  errors: [],
  violations: [],
  judged: [],
  popups: [],
  hacked: false,
};

async function opened(size, more = {}) {
  const context = await browser.newContext({ viewport: size, bypassCSP: false, ...more });
  await context.setOffline(true);
  const page = await context.newPage();
  page.on("request", (request) => seen.requests.push(request.url().slice(0, 300)));
  page.on("console", (message) => {
    if (message.type() !== "debug") seen.console.push(message.text().slice(0, 500));
  });
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  page.on("pageerror", (error) => seen.errors.push(String(error).slice(0, 500)));
  context.on("page", (popup) => {
    if (popup !== page) seen.popups.push(popup.url());
  });
  return { context, page };
}

// Which of some figures stand below the links to the pages when an address leads to them.
async function hiddenBehindLinks(page, ids) {
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

// What axe-core finds, and what it looked at.
async function faults(page, where) {
  await page.evaluate(axe);
  // What is inside of a chart is hidden from those who cannot see it; its frame says it in words.
  const found = await page.evaluate(() =>
    axe.run({ exclude: ["figure svg"] }, { resultTypes: ["violations"] }),
  );
  seen.judged.push(where);
  for (const violation of found.violations) {
    seen.violations.push({
      where,
      id: violation.id,
      impact: violation.impact,
      nodes: violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
    });
  }
}

// Scrolls through the page that is open, so that every chart comes into sight and is drawn.
async function drawn(page) {
  const figures = page.locator(".page.is-open figure[data-live]");
  for (const figure of await figures.all()) {
    await figure.scrollIntoViewIfNeeded();
    await page
      .waitForFunction((one) => one.classList.contains("is-live"), await figure.elementHandle(), {
        timeout: 15_000,
      })
      .catch(() => {});
  }
  return page.evaluate(() =>
    Array.from(document.querySelectorAll(".page.is-open figure"), (one) => ({
      id: one.id,
      live: one.classList.contains("is-live"),
      marks: one.querySelectorAll(
        ".live svg [class*='mark-']:not(.role-axis-domain) path, " +
          ".live svg .mark-rect path, .live svg .mark-rule line",
      ).length,
      wide: Math.max(
        0,
        ...Array.from(
          one.querySelectorAll(".live svg, .live svg text"),
          (part) => part.getBoundingClientRect().right,
        ),
      ),
      still: one.querySelectorAll(".still svg, .still img").length,
    })),
  );
}

// Points at marks until one answers, and gives what the tooltip says.
async function tooltip(page, figure) {
  const chart = `#${figure} .live svg`;
  await page.locator(chart).scrollIntoViewIfNeeded();
  const symbols = page.locator(`${chart} :is(.mark-symbol, .mark-rect) > path`);
  const marks = (await symbols.count()) ? symbols : page.locator(`${chart} .role-mark > path`);
  for (let i = 0; i < Math.min(await marks.count(), 20); i++) {
    const box = await marks.nth(i).boundingBox();
    if (!box || box.width < 2 || box.height < 2) continue;
    if (box.y < 0 || box.y > 700) await marks.nth(i).scrollIntoViewIfNeeded();
    const there = await marks.nth(i).boundingBox();
    await page.mouse.move(there.x + there.width / 2 - 1, there.y + there.height / 2 - 1);
    await page.mouse.move(there.x + there.width / 2, there.y + there.height / 2);
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

// Reads the points of a chart with the arrow keys, and gives what is said of the first three.
async function byArrows(page, figure) {
  await page.locator(`#${figure} .live`).focus();
  await page.waitForTimeout(100); // it scrolls, which hides what was said
  const said = [];
  for (let i = 0; i < 3; i++) {
    await page.keyboard.press("ArrowRight");
    said.push(
      (await page.locator("#tooltip").isVisible())
        ? await page.locator("#tooltip").innerText()
        : "",
    );
  }
  await page.evaluate(() => document.activeElement.blur());
  return { said, hidden: !(await page.locator("#tooltip").isVisible()) };
}

// Opens what is folded below a chart with the enter key, and gives the rows that then are there.
async function unfolded(page, figure) {
  const fold = page.locator(`#${figure} details > summary`);
  if (!(await fold.count())) return null;
  await fold.focus();
  await page.keyboard.press("Enter");
  const rows = await page.locator(`#${figure} details tbody tr:visible`).count();
  return { rows, promised: await fold.innerText() };
}

// Goes on with the tabulator key until it is back at the start; gives what had the focus.
async function byKeyboard(page) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    window.scrollTo(0, 0);
  });
  const wanted = await page.evaluate(() => {
    const all = Array.from(
      document.querySelectorAll("a[href], summary, button, input, [tabindex='0']"),
    );
    all.forEach((one) => {
      delete one.dataset.wanted;
    });
    const shown = all.filter((one) => one.checkVisibility());
    shown.forEach((one, i) => {
      one.dataset.wanted = String(i);
    });
    return shown.length;
  });
  const reached = new Set();
  let unseen = 0;
  for (let i = 0; i < wanted + 20; i++) {
    await page.keyboard.press("Tab");
    const state = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      return {
        number: one.dataset ? one.dataset.wanted : undefined,
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
      };
    });
    if (state.number === undefined) continue;
    reached.add(state.number);
    if (!state.outlined) unseen += 1;
  }
  return { wanted, reached: reached.size, unseen };
}

for (const [name, size] of Object.entries(sizes)) {
  const { context, page } = await opened(size, name === "phone" ? { hasTouch: true } : {});
  await page.goto(address);
  const slugs = await page.evaluate(() =>
    Array.from(document.querySelectorAll("nav a"), (link) => link.hash.slice(1)),
  );
  const few = slugs.length < 15; // a report as it is, not a list of attacks
  seen.slugs = slugs;
  for (const slug of slugs) {
    await page.click(`nav a[href="#${slug}"]`);
    await page.waitForFunction(
      (id) => document.getElementById(id).classList.contains("is-open"),
      slug,
    );
    const figures = await drawn(page);
    const facts = await page.evaluate(() => ({
      title: document.title,
      current: document.querySelectorAll("nav a[aria-current='page']").length,
      open: Array.from(document.querySelectorAll(".page.is-open"), (one) => one.id),
      wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      captions: document.querySelectorAll(".page.is-open table:not(:has(caption))").length,
    }));
    const told = {};
    for (const figure of figures.slice(0, 4)) told[figure.id] = await tooltip(page, figure.id);
    await page.mouse.move(0, 0);
    const judged = name === "desktop" ? few || figures.length : slugs.length < 8;
    if (judged) await faults(page, `${slug} ${name}`); // it takes its time
    const arrows = {},
      rows = {};
    if (name === "desktop" && few) {
      for (const figure of figures) {
        if (figure.live) arrows[figure.id] = await byArrows(page, figure.id);
        rows[figure.id] = await unfolded(page, figure.id);
      }
    }
    const keyboard = name === "desktop" && few ? await byKeyboard(page) : null;
    const hidden = figures.length
      ? await hiddenBehindLinks(
          page,
          figures.map((one) => one.id),
        )
      : [];
    await page.evaluate(() =>
      document.querySelectorAll("figure details[open]").forEach((fold) => {
        fold.open = false;
      }),
    );
    await page.evaluate(() => {
      document.activeElement?.blur();
      window.scrollTo(0, 0);
    });
    if (screenshots && (few || figures.length)) {
      await page.screenshot({ path: join(screenshots, `${slug}-${name}.png`), fullPage: true });
    }
    seen.pages[`${slug} ${name}`] = { ...facts, figures, told, arrows, rows, keyboard, hidden };
  }
  seen.hacked ||= await page.evaluate(() => "hacked" in window);
  if (name === "desktop") {
    await page.evaluate(() => {
      window.beyondTheSheet = () =>
        Array.from(document.querySelectorAll("main *"))
          .filter(
            (one) =>
              one.checkVisibility() &&
              !one.closest("caption") &&
              one.getBoundingClientRect().right > window.innerWidth + 1,
          )
          .map((one) => one.outerHTML.slice(0, 200))
          .slice(0, 5);
    });
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 680, height: 1000 }); // A4 less its margins
    seen.print = await page.evaluate(() => ({
      pages: Array.from(document.querySelectorAll(".page"), (one) => one.checkVisibility()),
      still: Array.from(document.querySelectorAll("figure"), (one) =>
        one.querySelector(".still").checkVisibility(),
      ),
      live: Array.from(document.querySelectorAll("figure .live"), (one) => one.checkVisibility()),
      wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      beyond: beyondTheSheet(),
      whole: Array.from(
        document.querySelectorAll("figure, .takeaways, .needs, .page tr"),
        (one) => getComputedStyle(one).breakInside,
      ),
      // Chromium splits a block after its heading all the same, but no inline block.
      blocks: Array.from(
        document.querySelectorAll("figure, .whole, .short"),
        (one) => getComputedStyle(one).display,
      ),
      followed: Array.from(
        document.querySelectorAll(".page h2, .page h3, figcaption, .finding"),
        (one) => getComputedStyle(one).breakAfter,
      ),
      tallest: Math.max(
        ...Array.from(
          document.querySelectorAll("figure"),
          (one) => one.getBoundingClientRect().height,
        ),
      ),
    }));
    const pdf = await page.pdf({
      format: "A4",
      path: screenshots ? join(screenshots, "print.pdf") : undefined,
    });
    seen.print.sheets = (pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length;
    await page.emulateMedia({ media: null });
  }
  await context.close();
}

{
  // Without scripts everything is there, below each other.
  const { context, page } = await opened(sizes.desktop, { javaScriptEnabled: false });
  await page.goto(address);
  seen.bare = {
    shown: await page.locator(".page:visible").count(),
    all: await page.locator(".page").count(),
    still: await page.locator("figure .still:visible").count(),
    figures: await page.locator("figure").count(),
  };
  await context.close();
}

{
  // The form for both teams, on one sheet.
  const { context, page } = await opened(sizes.desktop);
  const answer = await page.goto(sheet).catch(() => null);
  if (answer) {
    await faults(page, "service-levels sheet");
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 700, height: 1030 });
    seen.sheetWider = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    const path = screenshots ? join(screenshots, "service-levels.pdf") : undefined;
    const pdf = await page.pdf({ preferCSSPageSize: true, path });
    seen.sheets = (pdf.toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length;
    if (screenshots)
      await page.screenshot({
        path: join(screenshots, "service-levels-sheet.png"),
        fullPage: true,
      });
  }
  await context.close();
}

await browser.close();
console.log(JSON.stringify(seen));
