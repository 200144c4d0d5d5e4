/*
 * The picture itself: saved as a file, and sharp where a pixel of the server is a whole number of the screen's.
 */

const NEAR = 0.01; // of a factor: what rounding to whole pixels may change

/** Whether each pixel is enlarged by the same whole number.  Pure. */
export function whole(shown, pixels, ratio) {
    const factor = shown * ratio / pixels;
    return factor > 1 - NEAR && Math.abs(factor - Math.round(factor)) < NEAR;
}

/** Keep the canvas sharp at whole factors. */
export function keepSharp(canvas) {
    new ResizeObserver(() => {
        canvas.classList.toggle('sharp', whole(canvas.clientWidth, canvas.width, window.devicePixelRatio));
    }).observe(canvas);
}

/** A name for the file.  Pure. */
export function fileName(server, now) {
    const safe = server.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+|-+$/g, '') || 'console';
    return `${safe}-${now.toISOString().slice(0, 19).replace(/[:T]/g, '-')}.png`;
}

/** Save noVNC's picture as a PNG file. */
export function save(rfb, server) {
    rfb.toBlob((blob) => {
        const link = document.createElement('a');
        link.href = URL.createObjectURL(blob);
        link.download = fileName(server, new Date());
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000); // the browser may read it late
    }, 'image/png');
}
