const assert = require("assert");
const { parse } = require("./lib/parser");

assert.deepStrictEqual(parse('a,b\n"c,d",e').rows, [["a", "b"], ["c,d", "e"]]);
assert.deepStrictEqual(parse("one,,three").rows, [["one", "", "three"]]);
console.log("ok");
