# escape=`
FROM debian:bookworm AS toolchain
RUN apt-get update `
    && apt-get install -y --no-install-recommends g++ cmake ninja-build ccache git `
    && rm -rf /var/lib/apt/lists/*
FROM toolchain AS build
ARG BUILD_TYPE=Release
COPY . /src
RUN --mount=type=cache,target=/root/.cache/ccache `
    cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=$BUILD_TYPE -DCMAKE_CXX_COMPILER_LAUNCHER=ccache `
    && ninja -C /build
FROM build AS test
RUN ctest --test-dir /build
FROM debian:bookworm-slim
COPY --from=build /build/bin/ /usr/local/bin/
CMD ["server"]
