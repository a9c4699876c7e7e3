const fs = require("fs");
const { parse } = require("./lib/parser");

const text = fs.readFileSync("fixtures/people.csv", "utf8");
const start = process.hrtime.bigint();
const { steps } = parse(text);
const took = Number(process.hrtime.bigint() - start) / 1e6;
console.log(`METRIC steps_per_kb=${(steps / (text.length / 1024)).toFixed(2)}`);
console.log(`METRIC parse_ms=${took.toFixed(3)}`);
