// Runs the JavaScript parser that Candour is compared with. See compare.py for what is asked and
// answered. Times are those on the wall: run it with TZ=UTC.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [task, file, home] = process.argv.slice(2);
const require = createRequire(join(home, "index.js"));
const { parseString } = require("whatsapp-chat-parser");

const started = process.hrtime.bigint();
const messages = parseString(readFileSync(file, "utf8"), { parseAttachments: true });
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
if (task === "speed") {
  const peak_bytes = process.resourceUsage().maxRSS * 1024;
  console.log(JSON.stringify({ messages: messages.length, seconds, peak_bytes }));
} else {
  const rows = messages.map((m) => ({
    t: m.date.toISOString().slice(0, 19),
    author: m.author,
    text: m.message,
  }));
  console.log(JSON.stringify(rows));
}
