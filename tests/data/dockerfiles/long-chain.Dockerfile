FROM busybox:1.36 AS s0
RUN echo 0 > /n
FROM s0 AS s1
RUN echo 1 >> /n
FROM s1 AS s2
RUN echo 2 >> /n
FROM s2 AS s3
RUN echo 3 >> /n
FROM s3 AS s4
RUN echo 4 >> /n
FROM busybox:1.36 AS side
RUN false
FROM scratch
COPY --from=s4 /n /n
COPY --from=s1 /n /n1
