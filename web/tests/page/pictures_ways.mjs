// How the pictures come to a room, to a conversation and to its last answer.
export const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
export const thread = (page, at) => page.evaluate((n) => fetch('/watra/v1/threads').then((r) => r.json()).then((a) => { location.hash = `#/izba/${a.threads[n].id}`; }), at);
export const answer = (page) => page.locator('.row-in:not(.mine)').last();
export async function izba(page) { await thread(page, 0); await page.waitForSelector('.md p'); }
