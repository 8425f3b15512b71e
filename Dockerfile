# One build, three images: docker build --target apiserver|proxy|daemon .
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# The image's own Node is the right one, so npm's node package need not install another.
RUN npm install --no-save --ignore-scripts --loglevel=error
COPY apis apis
COPY apiserver apiserver
COPY proxy proxy
COPY daemon daemon
COPY hack/bundle hack/bundle
COPY hack/start/places.ts hack/start/places.ts
RUN node hack/bundle/main.ts

FROM node:24-bookworm-slim AS apiserver
COPY --from=build /src/dist/apiserver.mjs /sojourn/apiserver.mjs
USER 65532
ENTRYPOINT ["node", "--max-http-header-size=98304", "/sojourn/apiserver.mjs"]

FROM node:24-bookworm-slim AS proxy
COPY --from=build /src/dist/proxy.mjs /sojourn/proxy.mjs
USER 65532
# Calls make much short-lived garbage: room for it, and no threads that look for it, cost less CPU time per call.
ENTRYPOINT ["node", "--max-http-header-size=65536", "--min-semi-space-size=16", "--max-semi-space-size=32", "--single-threaded-gc", "/sojourn/proxy.mjs"]

# What a code interpreter needs besides: Python, and an init that reaps, which Node cannot.
FROM node:24-bookworm-slim AS daemon
RUN apt-get update && apt-get install -y --no-install-recommends python3 tini && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/dist/daemon.mjs /sojourn/daemon.mjs
WORKDIR /workspace
RUN chown 65532:65532 /workspace
USER 65532
ENV SOJOURN_WORKSPACE=/workspace
ENTRYPOINT ["tini", "-g", "--", "node", "/sojourn/daemon.mjs"]
