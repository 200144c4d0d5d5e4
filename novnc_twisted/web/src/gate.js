/*
 * Passes the user's input on while the console answers, and discards it while it does not.
 *
 * Input that had no visible effect must not arrive minutes later.  But the release of a key that was pressed before is
 * still sent, because otherwise the guest would repeat the key.  Message types and layouts: RFC 6143, section 7.5, and
 * QEMU's extension.
 */
const KEY = 4;
const POINTER = 5;
const CUT_TEXT = 6;
const QEMU = 255;

export class InputGate {
    constructor() {
        this.open = true;
        this._down = new Set(); // keys that the server believes to be held
        this._buttons = 0; // mouse buttons that the server believes to be held
        this._text = { left: 0, pass: true }; // bytes of a text that are still to come, and whether they may be sent
    }

    /**
     * Check one message of noVNC, or one piece of a long text, which noVNC sends in pieces of 10 KiB.
     *
     * @param {Uint8Array} message
     * @returns {{input: boolean, key: boolean, pass: boolean}} whether it is input, a key, and whether it may be sent
     */
    judge(message) {
        if (this._text.left > 0) {
            this._text.left -= message.length;
            return { input: true, key: false, pass: this._text.pass };
        }
        switch (message[0]) {
            case KEY:
                return this._key(`keysym ${message.subarray(4, 8)}`, message[1] !== 0);
            case QEMU:
                return this._key(`code ${message.subarray(8, 12)}`, message[3] !== 0);
            case POINTER:
                return this._pointer((message[1] & 0x7f) | (message.length > 6 ? message[6] << 7 : 0));
            case CUT_TEXT:
                return this._cutText(message);
            default:
                return { input: false, key: false, pass: true };
        }
    }

    _cutText(message) {
        const header = new DataView(message.buffer, message.byteOffset, message.byteLength);
        // An extended clipboard message has a negative length.
        this._text = { left: 8 + Math.abs(header.getInt32(4)) - message.length, pass: this.open };
        return { input: true, key: false, pass: this.open };
    }

    _key(id, down) {
        const pass = down ? this.open : this.open || this._down.has(id);
        if (pass && down) {
            this._down.add(id);
        } else if (pass) {
            this._down.delete(id);
        }
        return { input: true, key: true, pass };
    }

    _pointer(buttons) {
        const pass = this.open || (this._buttons !== 0 && buttons === 0);
        if (pass) {
            this._buttons = buttons;
        }
        return { input: true, key: false, pass };
    }
}
