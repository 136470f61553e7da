FROM golang:1.22 AS base
WORKDIR /src
COPY . .

FROM base AS vet
RUN go vet ./...

FROM golangci/golangci-lint:v1.61 AS lint
WORKDIR /src
COPY --from=base /src .
RUN golangci-lint run

FROM base AS build
RUN go build -mod=vendor -o /app .

FROM gcr.io/distroless/static:nonroot AS release
COPY --from=build /app /app
ENTRYPOINT ["/app"]

FROM release
LABEL org.opencontainers.image.source=https://example.org/app
