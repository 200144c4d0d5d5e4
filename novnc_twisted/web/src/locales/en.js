/*
 * Every text of the console page in English (except the one for browsers without JavaScript).  The other languages are
 * in the JSON files beside this one, with the same names.  `{name}` is replaced by a value.  A text with plural forms is
 * an object of the forms by Intl.PluralRules, which are chosen by the value `count`.
 *
 * Texts in the page's HTML are named by `data-text`, `data-label` and `data-placeholder`.
 */

export const text = {
    console: 'Console',
    connecting: 'Connecting…',
    connected: 'Connected',
    unmoved: 'Connected, but keys change nothing: the server may be paused or busy',
    viewOnlyState: 'Connected, view only',
    reconnecting: 'Reconnecting…',
    waiting: 'Waiting to reconnect',
    notRunning: 'Server not running, waiting for it',
    stalled: 'No answer',
    disconnected: 'Disconnected',
    refused: 'Not connected',

    tools: 'Console tools',
    screen: 'Screen of the server',
    screenHelp: 'All keys go to the server. Press and release Ctrl, Alt and Shift together to reach the tools.',
    cad: 'Ctrl+Alt+Del',
    cadLabel: 'Send Ctrl+Alt+Del',
    keyRow: 'More keys',
    chips: 'Going on now',
    keys: 'Send keys',
    clipboard: 'Clipboard',
    clipboardNew: 'Clipboard: new text from the server',
    keyboard: 'On-screen keyboard',
    fitOn: 'Scaled to window. Show at original size',
    fitOff: 'Original size. Scale to window',
    fullscreen: 'Full screen',
    fullscreenLeave: 'Leave full screen',
    own: 'Open in a window of its own',
    ownBlocked: 'The browser opened no window: allow pop-ups here',
    more: 'View and connection',
    hide: 'Hide the tools',
    show: 'Show the tools',

    keysHold: 'Hold down',
    keysPress: 'Press',
    keysConsoles: 'Text consoles, Ctrl+Alt with',
    keysSysRq: 'Magic SysRq',
    keysDestructive: 'End programs or restart the server: press twice',
    keysHint: 'Keys that your own system would handle itself.',

    toServer: 'Text for the server',
    toServerHint: 'Paste or write here',
    send: 'Put on its clipboard',
    type: 'Type as keystrokes',
    typeHint: 'Typing works everywhere, even at a login prompt. Each line break presses Enter.',
    layout: 'Keyboard layout of the server',
    stop: 'Stop',
    fromServer: 'Clipboard of the server',
    fromServerHint: 'Text that is copied on the server appears here',
    copy: 'Copy',
    copied: 'Copied.',
    copyFailed: 'Press Ctrl+C to copy.',
    sent: 'Sent. It arrives if the server shares its clipboard.',
    typed: 'Typed.',
    stopTyping: 'Stop typing',
    dismiss: 'Dismiss',
    zoomEnd: 'Show the whole picture',

    picture: 'Picture',
    pictureFit: 'Scale to window',
    pictureOriginal: 'Original size (1:1)',
    pictureRemote: 'Fit the server to the window',
    pictureRemoteHint: 'Asks the server for a screen of this size. If the server cannot do this, the picture is scaled.',
    drag: 'Drag to move the picture',
    viewOnly: 'View only',
    viewOnlyHint: 'Nothing you type or click reaches the server',
    disconnect: 'Disconnect',
    reconnect: 'Reconnect',
    retry: 'Try again',
    retryNow: 'Try now',
    cancel: 'Stop trying',
    shortcut: 'Press and release Ctrl+Alt+Shift to move from the server’s screen to the tools. Press Escape to move back.',
    licences: 'Built on noVNC (MPL-2.0)',
    language: 'Language',
    languageHint: 'The page uses it when it is opened again.',
    saveData: 'Save data',
    saveDataHint: 'Coarser pictures, for slow or metered connections',
    screenshot: 'Save a picture of the screen',
    bell: 'The server rang its bell',
    info: 'Connection',
    infoScreen: 'Size of the screen',
    infoReceived: 'Received',
    infoSent: 'Sent',
    infoNetwork: 'Delay of the network',
    infoServer: 'Delay of the server',
    infoNone: 'not measured yet',
    gaveUp: 'Gave up trying.',
    trying: 'Trying now…',
};

export const say = {
    countdown: 'Trying again in {seconds} s',
    confirm: '{name}? Press again',
    confirmHint: '{name}: press again within 3 seconds',
    held: '{name} held',
    release: 'Release {name}',
    zoom: 'Zoom {percent}',
    typing: 'Typing… {done} of {all}',
    typingShort: 'Typing {done}/{all}',
    stopped: 'Stopped after {done} of {all} characters.',
    stoppedShort: 'Typing stopped at {done}/{all}',
    empty: 'There is no text. Write or paste it above.',
    long: 'This is too long for the server’s clipboard: {bytes} bytes of {most} at most. Send it in parts.',
    foreign: {
        one: 'This server’s clipboard takes Western European characters only, and one character is not among them. Type the text as keystrokes instead.',
        other: 'This server’s clipboard takes Western European characters only, and {count} characters are not among them. Type the text as keystrokes instead.',
    },
    unknownLayout: 'The keyboard layout “{id}” is not known here. Choose one from the list; until then it is English (US).',
    unknownCharacters: { one: 'One character is not on this layout.', other: '{count} characters are not on this layout.' },
};

/* The names of keys and combinations that are words. */
export const keys = {
    endX: 'End the X session',
    left: 'Left',
    up: 'Up',
    down: 'Down',
    right: 'Right',
    pageUp: 'Page up',
    pageDown: 'Page down',
    insert: 'Insert',
    delete: 'Delete',
};

/* What Linux does at Alt+SysRq and a letter. */
export const sysrq = {
    r: 'Take the keyboard back from X',
    e: 'Terminate all processes',
    i: 'Kill all processes',
    s: 'Sync the disks',
    u: 'Remount the disks read-only',
    b: 'Reboot at once',
    h: 'Show help',
};

/* By close code: a title, the sentence to use if the close frame has none, and hints that may follow it. */
export const refusals = {
    1000: { title: 'Disconnected', sentence: 'The console was closed. Reconnect to go on.' },
    1001: {
        title: 'Service restarting',
        sentence: 'The console service is being restarted. Reconnect in a moment.',
    },
    1002: { title: 'Viewer not understood', sentence: 'Your viewer broke the protocol. Reload to try again.' },
    1003: { title: 'Viewer not understood', sentence: 'This console takes binary messages only. Reload to try again.' },
    1009: { title: 'Message too big', sentence: 'Your viewer sent a message that is too big. Send less at once.' },
    4401: {
        title: 'Link not valid',
        sentence: 'This console link is not valid or has expired. Ask for a new one, as with nova get-vnc-console.',
        again: 'This link cannot reopen your session: the link has expired, or it is valid for one session only.',
        restarted: 'The console service was restarted or replaced, and may have lost this link.',
        waited: 'The link expired while this page waited for the server to start.',
        ownWindow: 'The link may be valid for one session only. The console remains open in the page from which you opened this window.',
    },
    4403: {
        title: 'Not allowed here',
        sentence: 'This console link may not be used here. Ask for a link of your own, for this kind of viewer.',
    },
    4404: { title: 'No console', sentence: 'This server no longer exists, or has no VNC display.' },
    4408: { title: 'Session over', sentence: 'This console session is over. Reconnect, or ask for a new link.' },
    4409: {
        title: 'Server not running',
        sentence: 'This server is not running. Start it, then open the console again.',
        hint: 'This page connects when it is started.',
    },
    4410: {
        title: 'Session revoked',
        sentence: 'This console session was revoked. Ask for a new console link if you still need it.',
    },
    4429: { title: 'Too many consoles', sentence: 'Too many consoles are open. Close one, then try again.' },
    4502: {
        title: 'Console unreachable',
        sentence: "The console of this server can't be reached. Try again, or tell your administrator.",
    },
    4503: {
        title: 'Service not available',
        sentence: 'The console service is not available. Try again in a moment.',
    },
    4504: {
        title: 'Console closed',
        sentence: 'The server closed the console. It may have been stopped; reconnect when it runs.',
    },
};

export const lost = {
    refused: 'Connection refused',
    noToken: {
        title: 'No console link',
        sentence: 'This address names no console. Open a whole link, as nova get-vnc-console or your dashboard gives it.',
    },
    stalled: {
        title: 'No answer',
        sentence: 'The console does not answer. Until it does, keys and clicks are dropped. Check your network; the page continues by itself.',
    },
    dropped: {
        title: 'Connection lost',
        sentence: 'The connection to the console was lost. Check your network; the page reconnects by itself.',
    },
    unreachable: {
        title: 'Service out of reach',
        sentence: "The console service can't be reached, or refused this page. Check your network and the address.",
    },
};
