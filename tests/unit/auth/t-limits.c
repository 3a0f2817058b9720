/* Throttle, buckets and gate: rules, many threads, many processes, holders killed at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/bucket.h"
#include "auth/gate.h"
#include "auth/throttle.h"
#include "base/arena.h"
#include "base/ctx.h"

#define NOW 1800000000000LL

static struct ctx C;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(C.mem);
	return 0;
}

static void *
shared(size_t n)
{
	void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(mem != MAP_FAILED);
	return mem;
}

static struct throttle_who
who(const char *name, const char *address)
{
	return (struct throttle_who){ .name = str_of(name), .network = network_of(str_of(address)) };
}

/* -------------------------------------------------------------------------------------------------------
 * throttle */

static void
back_off_of_quay(void **state)
{
	static const int64_t MS[] = {
		500, 1500, 3500, 7500, 15500, 31500, 63500, 127500, 255500, 511500, THROTTLE_MAX_WAIT_MS
	};
	struct throttle *t = throttle_init(shared(throttle_bytes()));
	const struct throttle_who a = who("alice", "192.0.2.1");
	int64_t now = NOW;

	(void)state;
	assert_int_equal(throttle_wait_ms(t, &a, now), 0);
	for (size_t i = 0; i < sizeof MS / sizeof MS[0]; i++) {
		throttle_failed(t, &a, now);
		assert_in_range(throttle_wait_ms(t, &a, now), MS[i] - 64,
		                MS[i]); /* times are kept in 64 ms */
		assert_true(throttle_wait_ms(t, &a, now + MS[i] - 100) > 0);
		now += MS[i];
		assert_int_equal(throttle_wait_ms(t, &a, now), 0);
	}
	for (int i = 0; i < 100; i++) /* the exponent is guarded */
		throttle_failed(t, &a, now);
	assert_in_range(throttle_wait_ms(t, &a, now), THROTTLE_MAX_WAIT_MS - 64, THROTTLE_MAX_WAIT_MS);
	throttle_succeeded(t, &a);
	throttle_failed(t, &a, now + 3600000);
	assert_in_range(throttle_wait_ms(t, &a, now + 3600000), 400, 60000); /* own counter begins anew */
	munmap(t, throttle_bytes());
}

static void
others_cannot_lock_out(void **state)
{
	struct throttle *t = throttle_init(shared(throttle_bytes()));
	struct throttle_who home = who("alice", "192.0.2.1"), new_place = who("alice", "192.0.2.2");
	char address[32];

	(void)state;
	home.is_known = true;
	for (int i = 0; i < 200; i++) {
		snprintf(address, sizeof address, "198.51.100.%d", i);
		const struct throttle_who attacker = who("alice", address);
		throttle_failed(t, &attacker, NOW);
	}
	assert_int_equal(throttle_wait_ms(t, &home, NOW), 0);
	assert_in_range(throttle_wait_ms(t, &new_place, NOW), 1,
	                30000);         /* guessing that spreads is slowed, within a bound */
	throttle_failed(t, &home, NOW); /* its own failures count */
	assert_true(throttle_wait_ms(t, &home, NOW) > 0);
	throttle_succeeded(t, &home);
	assert_int_equal(throttle_wait_ms(t, &home, NOW), 0);
	/* one network, many names */
	for (int i = 0; i < 200; i++) {
		snprintf(address, sizeof address, "name%d", i);
		const struct throttle_who attacker = who(address, "203.0.113.9");
		throttle_failed(t, &attacker, NOW);
	}
	const struct throttle_who next = who("bob", "203.0.113.9");
	assert_in_range(throttle_wait_ms(t, &next, NOW), 1, 60000);
	struct throttle_who resident = next;
	resident.is_known = true;
	assert_int_equal(throttle_wait_ms(t, &resident, NOW), 0);
	assert_int_equal(throttle_wait_ms(t, &next, NOW + 3600000 * 2), 0); /* forgotten */
	munmap(t, throttle_bytes());
}

static void
names_and_networks_are_apart(void **state)
{
	struct throttle *t = throttle_init(shared(throttle_bytes()));
	const struct throttle_who a = who("alice", "2001:db8::1"),
	                          same_net = who("ALICE", "2001:db8::ffff:1");
	const struct throttle_who other_net = who("alice", "2001:db8:0:1::1"),
	                          other_name = who("alicf", "2001:db8::1");

	(void)state;
	throttle_failed(t, &a, NOW);
	assert_true(throttle_wait_ms(t, &same_net, NOW) > 0); /* one /64, any case */
	assert_int_equal(throttle_wait_ms(t, &other_net, NOW), 0);
	assert_int_equal(throttle_wait_ms(t, &other_name, NOW), 0);
	assert_int_equal(throttle_wait_ms(t, &a, NOW - 100000) > 1000,
	                 0);                   /* a clock set back never makes a wait longer */
	assert_ptr_equal(throttle_init(t), t); /* joining changes nothing */
	assert_true(throttle_wait_ms(t, &a, NOW) > 0);
	munmap(t, throttle_bytes());
}

static void
the_fullest_counter_survives_a_flood(void **state)
{
	struct throttle *t = throttle_init(shared(throttle_bytes()));
	const struct throttle_who victim = who("alice", "192.0.2.1");
	char name[32], address[32];

	(void)state;
	for (int i = 0; i < 10; i++)
		throttle_failed(t, &victim, NOW);
	for (int i = 0; i < 200000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		const struct throttle_who flood = who(name, address);
		throttle_failed(t, &flood, NOW);
	}
	assert_true(throttle_wait_ms(t, &victim, NOW) > 500000);
	munmap(t, throttle_bytes());
}

/* --------------------------------------------------------------------------------------------------------
 * buckets */

static void
bucket_gives_burst_then_rate(void **state)
{
	struct buckets *b = bucket_init(shared(bucket_bytes()));
	const struct bucket_rule r = { .interval_us = 100000, .burst = 5 };
	int64_t now = 777000000;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now), 0);
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now), 100000);
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now + 60000),
	                 40000); /* refusals take nothing */
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now + 100000), 0);
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now + 100000), 100000);
	assert_int_equal(bucket_take(b, STR("read"), STR("bob"), &r, now), 0);    /* by identity */
	assert_int_equal(bucket_take(b, STR("write"), STR("alice"), &r, now), 0); /* by class */
	now += 10000000;
	for (int i = 0; i < 5; i++)
		assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, now), 0);
	assert_true(bucket_take(b, STR("read"), STR("alice"), &r, now) > 0); /* never above burst */
	assert_true(bucket_take(b, STR("read"), STR("alice"), &r, now - 5000000) >
	            0); /* a late caller's older clock opens nothing */
	const struct bucket_rule none = { 0, 0 }, huge = { UINT32_MAX, UINT32_MAX };
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &none, now), 0);
	assert_int_equal(bucket_take(b, STR("x"), STR("alice"), &huge, now), 0);
	/* after a reboot the clock begins again: nobody is locked out for long */
	assert_true(bucket_take(b, STR("read"), STR("alice"), &r, 1000) == 0);
	munmap(b, bucket_bytes());
}

struct taker {
	struct buckets *b;
	int64_t now;
	int taken;
};

static void *
take_many(void *p)
{
	struct taker *t = p;
	const struct bucket_rule r = { .interval_us = 1000000, .burst = 1000 };

	for (int i = 0; i < 2000; i++)
		t->taken += bucket_take(t->b, STR("read"), STR("alice"), &r, t->now) == 0;
	return NULL;
}

static void
no_token_is_given_twice(void **state)
{
	struct buckets *b = bucket_init(shared(bucket_bytes()));
	struct taker takers[4];
	pthread_t th[4];
	int all = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		takers[i] = (struct taker){ .b = b, .now = 5000000000 };
		assert_int_equal(pthread_create(&th[i], NULL, take_many, &takers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(th[i], NULL);
		all += takers[i].taken;
	}
	assert_int_equal(all, 1000);
	munmap(b, bucket_bytes());
}

/* Children that count without end are killed; the tables must work on, and the children's marks must be seen.
 */
static void
killed_writers_leave_the_tables_whole(void **state)
{
	struct throttle *t = throttle_init(shared(throttle_bytes()));
	struct buckets *b = bucket_init(shared(bucket_bytes()));
	const struct bucket_rule r = { .interval_us = 1000000, .burst = 3 };
	const struct throttle_who a = who("alice", "192.0.2.1");
	_Atomic int *begun = shared(4096);
	pid_t pids[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			throttle_init(t);
			bucket_init(b);
			for (;;) {
				throttle_failed(t, &a, NOW);
				bucket_take(b, STR("read"), STR("alice"), &r, 9000000);
				atomic_fetch_add(begun, 1);
			}
		}
	}
	while (atomic_load(begun) < 2000)
		sched_yield();
	for (int i = 0; i < 4; i++) {
		int status;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		assert_true(WIFSIGNALED(status));
	}
	assert_in_range(throttle_wait_ms(t, &a, NOW), THROTTLE_MAX_WAIT_MS - 64, THROTTLE_MAX_WAIT_MS);
	throttle_succeeded(t, &a);
	const struct throttle_who b2 = who("alice", "192.0.2.77");
	throttle_failed(t, &b2, NOW + 86400000);
	assert_in_range(throttle_wait_ms(t, &b2, NOW + 86400000), 1, 500);
	assert_true(bucket_take(b, STR("read"), STR("alice"), &r, 9000000) > 0);
	assert_int_equal(bucket_take(b, STR("read"), STR("alice"), &r, 10000000), 0);
	munmap(t, throttle_bytes());
	munmap(b, bucket_bytes());
	munmap(begun, 4096);
}

/* -----------------------------------------------------------------------------------------------------------
 * gate */

static void
gate_counts(void **state)
{
	struct gate *g = gate_init(shared(gate_bytes()));
	struct gate_pass p[3];

	(void)state;
	assert_true(gate_slots_default() >= 1);
	assert_int_equal(gate_enter(&C, g, 2, 0, &p[0]), ERR_NONE);
	assert_int_equal(gate_enter(&C, g, 2, 0, &p[1]), ERR_NONE);
	assert_int_equal(gate_enter(&C, g, 2, 20, &p[2]), ERR_RATE);
	assert_int_equal(C.err.retry_after_s, 2);
	gate_leave(g, &p[0]);
	gate_leave(g, &p[0]); /* a second time is harmless: the slot says nothing of this pass any more */
	assert_int_equal(gate_enter(&C, g, 2, 0, &p[2]), ERR_NONE);
	assert_int_equal(gate_enter(&C, g, 2, 0, &p[0]), ERR_RATE);
	gate_leave(g, &p[1]);
	gate_leave(g, &p[2]);
	munmap(g, gate_bytes());
}

struct crowd {
	struct gate *g;
	_Atomic int inside, most, done;
};

static void
pass_through(struct crowd *k, int rounds)
{
	struct ctx c = { .mem = arena_new(0) };

	for (int i = 0; i < rounds; i++) {
		struct gate_pass p;
		if (gate_enter(&c, k->g, 2, 60000, &p) != ERR_NONE)
			continue;
		const int now = atomic_fetch_add(&k->inside, 1) + 1;
		int most = atomic_load(&k->most);
		while (now > most && !atomic_compare_exchange_weak(&k->most, &most, now))
			;
		for (volatile int spin = 0; spin < 2000; spin++)
			;
		atomic_fetch_sub(&k->inside, 1);
		atomic_fetch_add(&k->done, 1);
		gate_leave(k->g, &p);
	}
	arena_free(c.mem);
}

static void *
pass_thread(void *p)
{
	pass_through(p, 300);
	return NULL;
}

static void
never_more_than_two_inside(void **state)
{
	struct crowd *k = shared(4096);
	pthread_t th[4];
	pid_t pids[3];

	(void)state;
	k->g = gate_init(shared(gate_bytes()));
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			pass_through(k, 300);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&th[i], NULL, pass_thread, k), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	for (int i = 0; i < 3; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(k->done, 7 * 300); /* nobody was turned away */
	assert_in_range(k->most, 1, 2);
	assert_int_equal(k->inside, 0);
	munmap(k->g, gate_bytes());
	munmap(k, 4096);
}

static void
a_killed_holder_frees_its_place(void **state)
{
	struct gate *g = gate_init(shared(gate_bytes()));
	struct gate_pass pass;
	int tell[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct gate_pass p;
		if (gate_enter(&C, g, 1, 0, &p) == ERR_NONE && write(tell[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(tell[0], &byte, 1), 1); /* it is in */
	assert_int_equal(gate_enter(&C, g, 1, 0, &pass), ERR_RATE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(gate_enter(&C, g, 1, 0, &pass), ERR_NONE);
	gate_leave(g, &pass);
	close(tell[0]);
	close(tell[1]);
	munmap(g, gate_bytes());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(back_off_of_quay),
		cmocka_unit_test(others_cannot_lock_out),
		cmocka_unit_test(names_and_networks_are_apart),
		cmocka_unit_test(the_fullest_counter_survives_a_flood),
		cmocka_unit_test(bucket_gives_burst_then_rate),
		cmocka_unit_test(no_token_is_given_twice),
		cmocka_unit_test(killed_writers_leave_the_tables_whole),
		cmocka_unit_test(gate_counts),
		cmocka_unit_test(never_more_than_two_inside),
		cmocka_unit_test(a_killed_holder_frees_its_place),
	};

	return cmocka_run_group_tests_name("auth/limits", tests, setup, teardown);
}
