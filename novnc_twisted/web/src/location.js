/*
 * Where to connect to, and with which view: read from the page's own address.
 */

const DEFAULT_PATH = 'websockify'; // what reverse proxies in front of noVNC forward
const PICTURES = new Map([['off', 'original'], ['none', 'original'], ['remote', 'remote']]);
const YES = ['1', 'true', 'yes', 'on'];

/* The last of several values counts, as for the proxy. */
function last(query, name) {
    const values = query.getAll(name);
    return values.length ? values[values.length - 1] : null;
}

/**
 * The address of the WebSocket for a page that was opened at `href`.
 *
 * Understands `?token=T` and `?path=PATH%3Ftoken%3DT`; an empty token counts as missing.  The host is always the page's
 * own: `host`, `port` and a path that looks like another site are ignored, so that a manipulated link cannot send the
 * token elsewhere.
 */
export function socketURL(href) {
    const page = new URL(href);
    const token = last(page.searchParams, 'token');
    const given = last(page.searchParams, 'path') ?? DEFAULT_PATH;

    const mark = given.indexOf('?');
    const path = mark < 0 ? given : given.slice(0, mark);
    const query = new URLSearchParams(mark < 0 ? '' : given.slice(mark + 1));
    if (token && !last(query, 'token')) {
        query.delete('token');
        query.append('token', token);
    }

    // a path begins at the root of the site, as with stock noVNC; without a path, the WebSocket is beside the page
    const beside = page.pathname.slice(0, page.pathname.lastIndexOf('/') + 1);
    const chosen = page.searchParams.has('path') && path !== '';
    const socket = new URL(page.origin);
    socket.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:';
    socket.pathname = chosen ? path.replace(/^[/\\]*/, '/') : beside + path;
    socket.search = query.toString();
    return socket.href;
}

/** Whether the page's address holds a token. */
export function hasToken(href) {
    return Boolean(last(new URL(socketURL(href)).searchParams, 'token'));
}

/** The address of this page with another token, for a guest.  Of its parameters, only the path is kept. */
export function shareURL(href, token) {
    const page = new URL(href);
    const query = new URLSearchParams();
    if (page.searchParams.has('path')) {
        const given = last(page.searchParams, 'path');
        const mark = given.indexOf('?');
        const inner = new URLSearchParams(mark < 0 ? '' : given.slice(mark + 1));
        inner.delete('token');
        inner.append('token', token);
        query.set('path', `${mark < 0 ? given : given.slice(0, mark)}?${inner}`);
    } else {
        query.set('token', token);
    }
    return `${page.origin}${page.pathname}?${query}`;
}

/**
 * The server's name in the address, or ''.  The page shows it until the server sends its name.
 *
 * Horizon appends `&title=NAME(UUID)` to any address, also to one without a question mark.
 */
export function titleOf(href) {
    const page = new URL(href);
    const title = last(page.searchParams, 'title') ?? new URLSearchParams(page.pathname + page.hash).get('title');
    return (title ?? '').replace(/\s*\([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\)$/i, '');
}

const OWN_WINDOW = '#window';

/** The address of the same console for a window of its own. */
export function ownWindowURL(href) {
    const page = new URL(href);
    page.hash = OWN_WINDOW;
    return page.href;
}

/** Whether the page was opened by `ownWindowURL`. */
export function isOwnWindow(href) {
    return new URL(href).hash === OWN_WINDOW;
}

/** The language that the address asks for, or null. */
export function languageOf(href) {
    const query = new URL(href).searchParams;
    return last(query, 'lang');
}

/** The address, with `lang` changed to this language if `lang` is present. */
export function withLanguage(href, language) {
    const url = new URL(href);
    if (url.searchParams.has('lang')) {
        url.searchParams.set('lang', language);
    }
    return url.href;
}

/** The view that the address asks for, in stock noVNC's words: `resize=scale|off|remote`, `view_only=1`, `logging=debug`. */
export function viewOptions(href) {
    const query = new URL(href).searchParams;
    const logging = last(query, 'logging');
    return {
        picture: PICTURES.get(last(query, 'resize')) ?? (query.has('resize') ? 'scale' : null),
        viewOnly: YES.includes((last(query, 'view_only') ?? '').toLowerCase()),
        logging: ['error', 'warn', 'info', 'debug'].includes(logging) ? logging : 'none',
    };
}
