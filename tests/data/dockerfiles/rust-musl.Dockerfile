FROM clux/muslrust:stable AS build
ARG FEATURES
COPY . /volume
RUN cargo build --release ${FEATURES:+--features $FEATURES}
FROM scratch
COPY --from=build /volume/target/x86_64-unknown-linux-musl/release/tool /
CMD ["/tool"]
