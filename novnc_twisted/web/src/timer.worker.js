/*
 * The worker of timer.js: answers `[number, ms]` with the number, that much later.
 */
addEventListener('message', ({ data: [number, ms] }) => setTimeout(() => postMessage(number), ms));
