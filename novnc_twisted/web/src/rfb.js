/*
 * noVNC's RFB, without H.264.
 *
 * If a browser cannot decode an H.264 rectangle, noVNC 1.7.0 leaves the picture frozen, without an error.  So the page
 * does not offer H.264 (the registered encoding 50) to the server in SetEncodings (RFC 6143, section 7.5.2).
 */
import RFB from '@novnc/novnc';

const H264 = 50;
const { clientEncodings } = RFB.messages;

RFB.messages.clientEncodings = (socket, encodings) =>
    clientEncodings(socket, encodings.filter((encoding) => encoding !== H264));

export default RFB;
