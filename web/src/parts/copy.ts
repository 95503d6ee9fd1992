// Copying works without the clipboard API too (a phone on a LAN without TLS has none).
function select(fill: (data: DataTransfer) => void): boolean {
  const take = (event: ClipboardEvent) => { if (event.clipboardData) fill(event.clipboardData); event.preventDefault(); };
  document.addEventListener('copy', take, { once: true });
  const done = document.execCommand('copy');
  document.removeEventListener('copy', take);
  return done;
}
export function copyText(text: string): void {
  if (navigator.clipboard) void navigator.clipboard.writeText(text).catch(() => select((data) => data.setData('text/plain', text)));
  else select((data) => data.setData('text/plain', text));
}
/** Markdown as text and clean HTML beside it. */
export function copyBoth(text: string, html: string): void {
  if (!select((data) => { data.setData('text/plain', text); data.setData('text/html', html); })) copyText(text);
}
export function download(name: string, text: string, type = 'text/plain'): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
