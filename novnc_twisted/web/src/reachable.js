/*
 * Whether a new connection to the proxy would succeed.
 */
import { ANSWER } from './health.js';

/** Request a small file of the page from the proxy, bypassing caches. */
export async function reachable() {
    const file = new URL('favicon.svg', location.href);
    file.search = `alive=${Date.now()}`;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWER);
    try {
        return (await fetch(file, { method: 'HEAD', cache: 'no-store', signal: abort.signal })).ok;
    } catch {
        return false;
    } finally {
        clearTimeout(timer);
    }
}
