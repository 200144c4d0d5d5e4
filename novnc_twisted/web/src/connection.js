/*
 * One connection to the console: a WebSocket and noVNC's RFB on it.
 *
 * noVNC hides the close frame, so the WebSocket is ours: its close event tells the code and the sentence.
 */
import RFB from '@novnc/novnc';

/* A refusal is told twice, first as RFB failure and then as close frame; this long the second is waited for, in ms. */
const CLOSE_FRAME = 2000;
/* The proxy gives itself 30 s to set a session up; this long, in ms, it is waited for. */
const SET_UP = 35000;
/* How long a server may take to answer when it is asked whether it is still there, in ms. */
const ANSWER = 8000;
/* FramebufferUpdateRequest (RFC 6143, 7.5.3) for one pixel, not incremental: a server has to answer it. */
const ONE_PIXEL = new Uint8Array([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]);

/**
 * Events: `connect`; `name`, `clipboard`, `clipping` (with `detail`); and exactly one `end`, whose detail is
 * `{code, reason, opened, connected}`.
 */
export class Connection extends EventTarget {
    constructor(stage, url, view) {
        super();
        this._end = { code: 1006, reason: '', opened: false, connected: false };
        this._ended = false;

        const socket = new WebSocket(url, ['binary']);
        const close = socket.close.bind(socket);
        this._close = close;
        this._socket = socket;
        this._deadline = setTimeout(() => this._giveUp(), SET_UP);
        socket.addEventListener('open', () => {
            this._end.opened = true;
        });
        socket.addEventListener('close', (event) => this._finish(event.code, event.reason));
        socket.close = () => this._closeGently(close);

        this.rfb = new RFB(stage, socket, { shared: true });
        this.rfb.background = 'transparent';
        this.rfb.addEventListener('connect', () => {
            this._end.connected = true;
            clearTimeout(this._deadline);
            this._emit('connect');
        });
        this.rfb.addEventListener('securityfailure', ({ detail }) => {
            this._end.reason = utf8(detail.reason ?? '');
        });
        this.rfb.addEventListener('desktopname', ({ detail }) => this._emit('name', detail.name));
        this.rfb.addEventListener('clipboard', ({ detail }) => this._emit('clipboard', detail.text));
        this.rfb.addEventListener('clippingviewport', ({ detail }) => this._emit('clipping', detail));
        this.show(view);
    }

    /** Apply the view: `{scale, viewOnly, clip, drag}`. */
    show({ scale, viewOnly, clip = false, drag = false }) {
        this.rfb.clipViewport = clip;
        this.rfb.scaleViewport = scale;
        this.rfb.dragViewport = drag;
        if (this.rfb.viewOnly !== viewOnly) {
            this.rfb.viewOnly = viewOnly;
        }
    }

    get connected() {
        return this._end.connected && !this._ended;
    }

    /** The person asked for the end: nobody is waited for. */
    close() {
        this._giveUp(1000);
    }

    /**
     * Find out whether the server is still there, after the network changed or the computer slept: a connection that
     * broke meanwhile would look alive for many minutes.
     */
    probe() {
        if (!this.connected) {
            return;
        }
        clearTimeout(this._deadline);
        this._deadline = setTimeout(() => this._giveUp(), ANSWER);
        this._socket.addEventListener('message', () => clearTimeout(this._deadline), { once: true });
        this._socket.send(ONE_PIXEL);
    }

    _giveUp(code = 1006) {
        if (!this._ended) {
            this._finish(code, '');
            this.rfb.disconnect();
            this._close();
        }
    }

    /* noVNC hangs up as soon as it has read the RFB failure: give the close frame the time to arrive. */
    _closeGently(close) {
        setTimeout(() => {
            close();
            this._finish(1006, '');
        }, CLOSE_FRAME);
    }

    _finish(code, reason) {
        if (this._ended) {
            return;
        }
        this._ended = true;
        clearTimeout(this._deadline);
        this._emit('end', { ...this._end, code, reason: reason || this._end.reason });
    }

    _emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

/* noVNC hands RFB failures on byte by byte; ours are UTF-8. */
function utf8(bytes) {
    return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
