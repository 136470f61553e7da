FROM golang:1.23 AS tools
RUN go install example.org/tool@latest
FROM debian:bookworm-slim
COPY --from=tools /go/bin/tool /usr/bin/
CMD ["tool"]
