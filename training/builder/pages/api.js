/** What the preview's server is asked. */

/**
 * @typedef {{pointer: string, page: string, license: string, author: string}} Credit
 *
 * @typedef {object} Listing
 * @property {string} version - of the set; part of the addresses of its pictures
 * @property {string} title
 * @property {"line" | "labels" | "gray" | "photo"} kind - of the source
 * @property {number} size - side of the pictures, pixels
 * @property {Record<string, string[]>} splits - ids of the pairs of each
 * @property {string[]} struck - ids
 * @property {Record<string, Credit>} credits - by id
 *
 * @typedef {object} Pair
 * @property {string} id
 * @property {string} split
 * @property {number} index - within the split
 */

/** @returns {Promise<Listing>} */
export function readListing() {
  return ask("/pairs");
}

/**
 * @param {string} id
 * @param {boolean} struck
 * @returns {Promise<unknown>} resolved once it is on the disk
 */
export function saveStrike(id, struck) {
  return ask("/strikes", { id, struck });
}

/**
 * @param {string} version
 * @returns {Promise<Listing>} of the set without its struck pairs
 */
export function applyStrikes(version) {
  return ask("/apply", { version });
}

/**
 * @param {string} version
 * @param {Pair} pair
 * @param {"pair" | "source" | "target" | "overlay"} what
 */
export function pictureAddress(version, { split, index }, what) {
  return `/pictures/${version}/${split}/${index}/${what}`;
}

/**
 * @param {string} path
 * @param {object} [content] - sent where something is to change
 */
async function ask(path, content) {
  const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, content ? sent : {});
  } catch {
    throw new Error("the preview does not answer. Start `inkwash-train dataset view` again, then reload this page.");
  }
  const answer = await response.json().catch(() => ({ error: `the preview answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
