/** What one client, or all together, may ask of a listener's connections. */
export interface ListenerLimits {
  /** Until a TLS handshake is done. */
  handshakeTimeoutMs: number;
  /** Until all headers of a request are there, from its first byte or from the beginning of the connection. */
  headersTimeoutMs: number;
  /** How often connections are looked at for that. */
  checkIntervalMs: number;
  /** How long a connection may be idle between requests. */
  keepAliveMs: number;
  /** Connections at once; further ones are refused. */
  mostConnections: number;
}

export const defaultLimits: ListenerLimits = {
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 30_000,
  checkIntervalMs: 5_000,
  // Longer than the idle time of common load balancers and of kube-apiserver (90 s): they and not we end idle connections.
  keepAliveMs: 120_000,
  mostConnections: 16_384,
};
