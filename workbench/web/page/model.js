// What the page says about the model: its blocks as coloured letters, its size, and the state of a conversation.

function count(number) {
  const units = ["", "k", "M", "B"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit++;
  }
  return `${Number(number.toPrecision(3))}${units[unit]}`;
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit++;
  }
  return `${Number(number.toPrecision(3))} ${units[unit]}`;
}

function pattern(node, model) {
  const names = Object.fromEntries(model.tandem.kinds.map((kind) => [kind.letter, kind.name]));
  node.replaceChildren(...[...model.tandem.pattern].map((letter, i) => {
    const block = document.createElement("span");
    block.className = "block";
    block.dataset.kind = letter;
    block.textContent = letter;
    block.title = `Block ${i + 1}: ${names[letter] ?? letter}`;
    return block;
  }));
}

// showModel fills in the heading and the empty page.
export function showModel(model) {
  const own = model.tandem;
  document.title = `${model.id} · Tandem`;
  document.getElementById("model").textContent = model.id;
  document.getElementById("facts").textContent = `${count(own.parameters)} parameters · context ${own.context} · ${own.device}`;
  const strip = document.getElementById("pattern");
  pattern(strip, model);
  strip.setAttribute("aria-label", `${own.pattern.length} blocks: ${own.pattern}`);
  pattern(document.getElementById("empty-pattern"), model);
  const blocks = own.kinds.map((kind) => `${[...own.pattern].filter((letter) => letter === kind.letter).length} ${kind.name}`);
  document.getElementById("empty-facts").textContent = `${blocks.join(" and ")} blocks. What you write goes to this server and nowhere else.`;
}

// stateText says what a conversation of so many tokens keeps on the device.
export function stateText(model, tokens) {
  const { state_fixed_bytes: fixed, state_token_bytes: each } = model.tandem;
  if (each === 0) return `state ${bytes(fixed)} at any length`;
  return `state ${bytes(fixed + each * tokens)}, ${bytes(each)} a token`;
}

// numbersText describes an answer that ended.
export function numbersText(usage, finish) {
  const parts = [`${usage.completion_tokens} tokens`];
  const own = usage.tandem;
  if (own.tokens_per_second > 0) parts.push(`${own.tokens_per_second.toFixed(own.tokens_per_second < 10 ? 1 : 0)} tokens/s`);
  parts.push(`first after ${own.first_token_ms.toFixed(0)} ms`);
  const reused = usage.prompt_tokens_details.cached_tokens;
  if (reused > 0) parts.push(`${reused} of ${usage.prompt_tokens} reused`);
  if (finish === "length") parts.push("cut off by the limit");
  return parts.join(" · ");
}
