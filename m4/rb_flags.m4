dnl SPDX-License-Identifier: Apache-2.0

dnl RB_COMPILER_FLAGS(VARIABLE, FLAGS): appends each flag that the compiler takes.
dnl -Werror is in the trial because clang only warns about a flag that it does not know.
AC_DEFUN([RB_COMPILER_FLAGS], [
	for rb_flag in m4_normalize([$2]); do
		AS_VAR_PUSHDEF([rb_cache], [rb_cv_flag_$rb_flag])
		AC_CACHE_CHECK([whether $CC accepts $rb_flag], [rb_cache], [
			rb_save_CFLAGS=$CFLAGS
			CFLAGS="$CFLAGS -Werror $rb_flag"
			AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
				[AS_VAR_SET([rb_cache], [yes])], [AS_VAR_SET([rb_cache], [no])])
			CFLAGS=$rb_save_CFLAGS
		])
		AS_VAR_IF([rb_cache], [yes], [AS_VAR_APPEND([$1], [" $rb_flag"])])
		AS_VAR_POPDEF([rb_cache])
	done
])

dnl The list of style 12. -Wconversion is in it because lost size bits are the worst bugs here;
dnl sign conversion is not, because its casts at the system-call border hide more than they show.
AC_DEFUN([RB_WARNINGS], [
	RB_WARN_CFLAGS=
	RB_COMPILER_FLAGS([RB_WARN_CFLAGS], [
		-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wundef -Wvla -Wformat=2
		-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wwrite-strings
		-Wcast-qual -Wpointer-arith -Wimplicit-fallthrough -Wdate-time -fno-common
		-Wlogical-op -Wduplicated-cond -Wnull-dereference])
	AS_IF([test "$enable_werror" = yes], [AS_VAR_APPEND([RB_WARN_CFLAGS], [" -Werror"])])
	AC_SUBST([RB_WARN_CFLAGS])
])

dnl RB_PACKED_RELOCATIONS(VARIABLE): appends what makes the linker write relative relocations packed
dnl (DT_RELR): half a megabyte less, which start-up need not read. Tried by running, because the C
dnl library has to unpack them (glibc from 2.36 on).
AC_DEFUN([RB_PACKED_RELOCATIONS], [
	AC_CACHE_CHECK([whether static programs may have packed relocations], [rb_cv_relr], [
		rb_save_CFLAGS=$CFLAGS
		rb_save_LDFLAGS=$LDFLAGS
		CFLAGS="$CFLAGS -fPIE"
		LDFLAGS="$LDFLAGS -static-pie -Wl,--fatal-warnings,-z,pack-relative-relocs"
		AC_RUN_IFELSE([AC_LANG_PROGRAM([[static const char *volatile word = "x";]],
			[[return *word != 'x';]])],
			[rb_cv_relr=yes], [rb_cv_relr=no], [rb_cv_relr=no])
		CFLAGS=$rb_save_CFLAGS
		LDFLAGS=$rb_save_LDFLAGS
	])
	AS_IF([test "$rb_cv_relr" = yes], [AS_VAR_APPEND([$1], [" -Wl,-z,pack-relative-relocs"])])
])

dnl Either the static program that users get, or the dynamic one for the sanitizers (ASan has no
dnl static mode, and _FORTIFY_SOURCE hides calls from its interceptors).
AC_DEFUN([RB_BUILD_KIND], [
	RB_KIND_CFLAGS=
	RB_KIND_LDFLAGS=
	AS_IF([test "$enable_sanitizers" = yes], [
		rb_kind="dynamic with sanitizers"
		RB_KIND_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fPIE"
		RB_KIND_LDFLAGS="-fsanitize=address,undefined -pie"
	], [
		rb_kind="static"
		RB_KIND_CFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -ffunction-sections -fdata-sections"
		RB_COMPILER_FLAGS([RB_KIND_CFLAGS], [-fstack-protector-strong -fstack-clash-protection])
		RB_KIND_LDFLAGS="-static-pie -Wl,-z,relro,-z,now -Wl,--gc-sections"
		RB_PACKED_RELOCATIONS([RB_KIND_LDFLAGS])
	])
	RB_COMPILER_FLAGS([RB_KIND_CFLAGS], [-fmacro-prefix-map=$srcdir/=])
	AM_CONDITIONAL([RB_SANITIZERS], [test "$enable_sanitizers" = yes])
	AC_SUBST([RB_KIND_CFLAGS])
	AC_SUBST([RB_KIND_LDFLAGS])
])
