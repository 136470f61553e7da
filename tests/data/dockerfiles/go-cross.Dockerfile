# syntax=docker/dockerfile:1
ARG GO=1.23
FROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS build
ARG TARGETOS TARGETARCH TARGETVARIANT
WORKDIR /src
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/root/.cache/go-build \
    --mount=type=cache,target=/go/pkg/mod \
    GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} go build -o /bin/tool ./cmd/tool

FROM --platform=$TARGETPLATFORM alpine:3.20
COPY --from=build /bin/tool /usr/bin/tool
ENTRYPOINT ["tool"]
