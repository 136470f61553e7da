FROM node:18 AS deps
WORKDIR /app
COPY package.json yarn.lock ./
RUN yarn install --frozen-lockfile

FROM deps AS test
COPY . .
RUN yarn lint && yarn test --ci

FROM deps AS dist
COPY . .
RUN yarn build

FROM gcr.io/distroless/nodejs18-debian12
COPY --from=dist /app/lib /app/lib
COPY --from=deps /app/node_modules /app/node_modules
CMD ["/app/lib/main.js"]
