From busybox:1.36 As mixed
Run true
RUN true
run true
ENV A=1
