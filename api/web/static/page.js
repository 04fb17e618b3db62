// What every part of the page uses. Text from the API is set as text, never as HTML.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function fill(parent, ...children) {
  parent.replaceChildren(...children);
}

export class Refused extends Error {}

// JSON of an address; a problem document becomes an error that says what was wrong.
export async function get(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The server does not answer at the moment.");
  }
  if (answer.ok) return { body: await answer.json(), headers: answer.headers };
  const problem = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("Retry-After");
  throw new Refused(`${problem.detail ?? problem.title ?? `HTTP ${answer.status}`}${wait ? ` (again in ${wait} s)` : ""}`);
}

// Requests for one place on the page: a new one ends the one before, whose answer may not show.
export class Turns {
  next() {
    this.current?.abort();
    this.current = new AbortController();
    return this.current.signal;
  }
}

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function whenText(instant) {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? String(instant) : FORMAT.format(at);
}
