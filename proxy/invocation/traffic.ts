/** Bytes of bodies, or of an upgraded connection, that a call has moved so far; whoever moves them adds them here. */
export class Traffic {
  /** From the client. */
  received = 0;
  /** To the client. */
  sent = 0;

  get total(): number {
    return this.received + this.sent;
  }
}
