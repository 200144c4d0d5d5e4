/*
 * One connection to the console: a WebSocket, noVNC's RFB on it, and the check whether it still answers.
 *
 * noVNC hides the close frame, so the page opens the WebSocket and reads code and sentence from its close event.
 */
import { InputGate } from './gate.js';
import { Health } from './health.js';
import { Meter } from './meter.js';
import { reachable } from './reachable.js';
import RFB from './rfb.js';
import { message } from './who.js';

/* ms to wait for the close frame: a refusal arrives as an RFB failure first, and then as a close frame. */
const CLOSE_FRAME = 2000;
/* ms to wait until the WebSocket is open. The proxy accepts it at once; if the network drops packets, a new attempt is
   usually faster than waiting longer for this one. */
const OPEN = 10000;
/* ms to wait for the session. The proxy's own deadline for the set-up is 30 s. */
const SET_UP = 35000;
const TICK = 500; // ms between two checks of the connection's health
/* FramebufferUpdateRequest (RFC 6143, 7.5.3) for one pixel, not incremental: a server must answer it. */
const ONE_PIXEL = new Uint8Array([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
/* noVNC's default values, and those for connections that are slow or expensive. */
const USUAL = { qualityLevel: 6, compressionLevel: 2 };
const SAVING = { qualityLevel: 2, compressionLevel: 9 };
const CHANNEL = 'novnc-twisted.v1'; // subprotocol: RFB as binary messages, and our own text messages
const EMPTY = new Uint8Array(0); // our proxy answers an empty message with an empty message

/**
 * Events without `detail`: `connect`; `bell`; `health`: `stalled` or `unmoved` has changed.
 * Events with `detail`: `name`, `clipboard`, `clipping`; `message`: a message of the proxy on the channel; and exactly
 * one `end` with `{code, reason, opened, connected}`.
 */
export class Connection extends EventTarget {
    constructor(stage, url, view) {
        super();
        this._end = { code: 1006, reason: '', opened: false, connected: false };
        this._ended = false;
        this._gate = null; // until there is a session
        this._health = null;

        // Websockify, and so nova-novncproxy, accepts "binary" only at the beginning of the list. Our proxy prefers CHANNEL.
        const socket = new WebSocket(url, ['binary', CHANNEL]);
        this._close = socket.close.bind(socket);
        this.meter = new Meter(performance.now());
        const send = socket.send.bind(socket);
        this._tell = (message) => send(JSON.stringify(message));
        this._send = (data) => {
            this.meter.sent(data.byteLength);
            send(data);
        };
        this._deadline = setTimeout(() => this._giveUp(), OPEN);
        socket.addEventListener('open', () => {
            this._end.opened = true;
            clearTimeout(this._deadline);
            this._deadline = setTimeout(() => this._giveUp(), SET_UP);
        });
        socket.addEventListener('message', (event) => this._received(event)); // before noVNC's listener
        socket.addEventListener('close', (event) => this._finish(event.code, event.reason));
        socket.close = () => this._closeGently();
        socket.send = (data) => this._sendChecked(data);

        this.rfb = new RFB(stage, socket, { shared: true });
        this.rfb.background = 'transparent';
        this.rfb.showDotCursor = true; // without it, there is no pointer if the server draws none
        this.rfb.addEventListener('connect', () => this._connected());
        this.rfb.addEventListener('securityfailure', ({ detail }) => {
            this._end.reason = utf8(detail.reason ?? '');
        });
        this.rfb.addEventListener('desktopname', ({ detail }) => this._emit('name', detail.name));
        this.rfb.addEventListener('bell', () => this._emit('bell'));
        this.rfb.addEventListener('clipboard', ({ detail }) => this._emit('clipboard', detail.text));
        this.rfb.addEventListener('clippingviewport', ({ detail }) => this._emit('clipping', detail));
        this.show(view);
    }

    /** Apply the view: `{scale, resize, viewOnly, clip, drag, saveData}`. */
    show({ scale, resize = false, viewOnly, clip = false, drag = false, saveData = false }) {
        Object.assign(this.rfb, saveData ? SAVING : USUAL);
        this.rfb.dragViewport = drag; // first: the lines below may call this method again, with a newer `drag`
        this.rfb.clipViewport = clip;
        this.rfb.scaleViewport = scale;
        if (this.rfb.viewOnly !== viewOnly) {
            this.rfb.viewOnly = viewOnly;
        }
        if (this.rfb.resizeSession !== resize) {
            this.rfb.resizeSession = resize;
        }
    }

    /** Send a message on the channel.  Call only after a `message`, which shows that the proxy has the channel. */
    tell(message) {
        if (this.connected) {
            this._tell(message);
        }
    }

    /** Whether there is a session. */
    get connected() {
        return this._end.connected && !this._ended;
    }

    /** Whether there is a session, and it answers. */
    get live() {
        return this.connected && !this.stalled;
    }

    /** Whether the console does not answer. */
    get stalled() {
        return Boolean(this._health?.stalled);
    }

    /** Whether keys change nothing on the screen. */
    get unmoved() {
        return Boolean(this._health?.unmoved);
    }

    /** End the connection without waiting for the server. */
    close() {
        this._giveUp(1000);
    }

    /** Check now whether the console answers: the network changed, or the user is back. */
    probe() {
        if (this.connected) {
            this._health.network(navigator.onLine);
            this._tick();
        }
    }

    /** Measure the delays of network and server, for `meter`. */
    measure() {
        if (this.live && this.meter.ask(performance.now())) {
            this._send(EMPTY);
            this._send(ONE_PIXEL);
        }
    }

    /** kB/s since the last call. */
    rates() {
        return this.meter.rates(performance.now());
    }

    _connected() {
        this._end.connected = true;
        clearTimeout(this._deadline);
        this._gate = new InputGate();
        this._health = new Health(performance.now());
        this._send(EMPTY); // to find out early whether the proxy answers such messages
        this._ticker = setInterval(() => this._tick(), TICK);
        this._emit('connect');
    }

    _received(event) {
        if (typeof event.data === 'string') {
            event.stopImmediatePropagation(); // noVNC does not know such messages
            const read = message(event.data);
            if (read) {
                this._emit('message', read);
            }
            return;
        }
        const empty = event.data.byteLength === 0;
        this.meter.heard(performance.now(), event.data.byteLength);
        if (empty) {
            event.stopImmediatePropagation(); // noVNC does not know such messages
        }
        this._look((health, now) => health.heard(now, empty));
    }

    _sendChecked(data) {
        if (this._gate === null) { // the handshake: its messages have no types
            this._send(data);
            return;
        }
        const { input, key, pass } = this._gate.judge(data);
        if (input && pass) {
            this._look((health, now) => health.sent(now, key));
        }
        if (pass) {
            this._send(data);
        }
    }

    _tick() {
        const question = this._look((health, now) => health.tick(now));
        if (question) {
            this._send(question.picture ? ONE_PIXEL : EMPTY);
        }
        if (question?.file) {
            reachable().then((well) => this._look((health, now) => health.answered(now, well)));
        }
        if (this._health.lost) {
            this._giveUp();
        }
    }

    /* Call `step` with the health check; dispatch `health` if `stalled` or `unmoved` has changed. */
    _look(step) {
        if (!this.connected) {
            return null;
        }
        const { stalled, unmoved } = this;
        const result = step(this._health, performance.now());
        if (this.stalled !== stalled || this.unmoved !== unmoved) {
            this._gate.open = !this.stalled;
            this._emit('health');
        }
        return result;
    }

    _giveUp(code = 1006) {
        if (!this._ended) {
            this._finish(code, '');
            this.rfb.disconnect();
            this._close();
        }
    }

    /* noVNC closes the WebSocket as soon as it has read the RFB failure. Close it later, so that the close frame can
       arrive. */
    _closeGently() {
        setTimeout(() => {
            this._close();
            this._finish(1006, '');
        }, CLOSE_FRAME);
    }

    _finish(code, reason) {
        if (this._ended) {
            return;
        }
        this._ended = true;
        clearTimeout(this._deadline);
        clearInterval(this._ticker);
        this._emit('end', { ...this._end, code, reason: reason || this._end.reason });
    }

    _emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

/* noVNC passes the bytes of an RFB failure as characters; our failures are UTF-8. */
function utf8(bytes) {
    return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
