// Opens a written report in Chromium at two widths and measures its charts and texts.
//   node layout.mjs REPORT_FOLDER [CHROMIUM]
// Prints one JSON object: the measures of each chart and the height of each text, by width.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [folder, executablePath = "/usr/bin/chromium"] = process.argv.slice(2);
const address = pathToFileURL(join(folder, "index.html")).href;
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-background-networking", "--disable-gpu"],
});
// Pixels by which a text may go beyond the frame of its picture, which still shows it. Hinting
// widens the letters of a picture that is scaled down.
const slack = 4;
// Pixels between two labels of an axis at least. With fewer, two numbers look like one.
const gap = 4;
const measures = {};
const pages = {};
for (const width of [390, 1280]) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, offline: true });
  const page = await context.newPage();
  await page.goto(address);
  // Shows all pages below each other, with their folds open. Measures each picture before its
  // chart replaces it.
  await page.evaluate(() => {
    document.documentElement.classList.remove("paged");
    document.querySelectorAll("details:has(figure)").forEach((fold) => {
      fold.open = true;
    });
  });
  measures[width] = await page.evaluate(async (slack) => {
    await document.fonts.ready;
    const charts = [];
    for (const figure of document.querySelectorAll("figure")) {
      const still = figure.querySelector(".still svg");
      const frame = still?.getBoundingClientRect();
      const cut = Array.from(still?.querySelectorAll("text") ?? []).filter((text) => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < frame.left - slack || box.right > frame.right + slack);
      });
      charts.push({ id: figure.id, cut: cut.map((text) => text.textContent) });
    }
    return charts;
  }, slack);
  for (const chart of measures[width]) {
    const figure = page.locator(`[id="${chart.id}"]`);
    await figure.scrollIntoViewIfNeeded();
    await page.waitForFunction(
      (id) => document.getElementById(id).querySelector(".live svg[aria-hidden]"),
      chart.id,
    );
    chart.parts = await figure.evaluate((element) => {
      const left = element.getBoundingClientRect().left;
      const round = (value) => Math.round(10 * value) / 10;
      return Array.from(element.querySelectorAll(".live svg, .live svg text"), (part) => {
        const box = part.getBoundingClientRect();
        return [
          part.tagName === "text" ? part.textContent : "",
          round(box.left - left),
          round(box.width),
        ];
      });
    });
    chart.crowded = await figure.evaluate((element, gap) => {
      const pairs = [];
      for (const axis of element.querySelectorAll(".live .role-axis-label")) {
        const labels = Array.from(axis.querySelectorAll("text"))
          .filter((text) => getComputedStyle(text).opacity !== "0") // Vega left these labels out
          .filter((text) => !(text.getAttribute("transform") ?? "").includes("rotate"));
        for (const [i, label] of labels.slice(1).entries()) {
          const [one, next] = [labels[i], label].map((text) => text.getBoundingClientRect());
          const across = Math.max(one.left, next.left) - Math.min(one.right, next.right);
          const down = Math.max(one.top, next.top) - Math.min(one.bottom, next.bottom);
          if (across < gap && down < 0) pairs.push([labels[i].textContent, label.textContent]);
        }
      }
      return pairs;
    }, gap);
    chart.right = await figure.evaluate((element) =>
      Math.max(
        ...Array.from(
          element.querySelectorAll(".live svg, .live svg text"),
          (part) => part.getBoundingClientRect().right,
        ),
      ),
    );
  }
  pages[width] = await page.evaluate(() =>
    Array.from(document.querySelectorAll("article.page p, article.page th"), (element) => [
      element.textContent,
      Math.round(element.getBoundingClientRect().height),
    ]),
  );
  await context.close();
}
await browser.close();
console.log(JSON.stringify({ charts: measures, texts: pages }));
