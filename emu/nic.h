/* SPDX-License-Identifier: MIT */
/*
 * The emulated ConnectX: the whole surface of the NIC core.
 *
 * The core is passive: it has no thread and no clock, reads no randomness and
 * does no I/O. It moves when somebody calls nic_step() (or nic_packet_in()).
 * Objects are made by firmware command mailboxes (nic_cmd), the same bytes
 * that a driver sends to the hardware; only what a kernel driver would set up
 * for its client (memory, doorbell pages, the wire) has calls of its own.
 *
 * Threads: every call may come from any thread; a lock inside the NIC orders
 * them. Callbacks run in the thread that called, with that lock held: they
 * must not call the same NIC again and must not block.
 *
 * Errors: calls that return int return 0 or a negative errno. What a client
 * did wrong is not an error of a call: it is answered as the device does
 * (command status, error CQE, NAK) and told to the log callback in a sentence.
 */
#ifndef NIC_H
#define NIC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nic;
struct wire;
struct nic_packet;
struct nic_trace_record;

/* Capabilities and limits of one device generation, see emu/persona.c. */
enum nic_persona {
	NIC_CONNECTX_7 = 0, /* the default */
	NIC_CONNECTX_5,
	NIC_CONNECTX_6,
	NIC_CONNECTX_8,
};

enum nic_link {
	NIC_LINK_IB = 0,
	NIC_LINK_ROCE,
};

/* What makes a send queue advance (architecture, "Doorbells"). */
enum nic_progress {
	/* The doorbell register or the doorbell record: complete for every
	 * known driver, also when queue pairs share a register. */
	NIC_COMPAT = 0,
	/* Only the doorbell register: finds forgotten doorbells. Needs one
	 * UAR page per queue pair, because a polled register is lossy. */
	NIC_STRICT,
};

enum nic_log_level {
	NIC_LOG_ERROR, /* the client broke a rule, or the host failed */
	NIC_LOG_WARN,  /* legal, but it probably is not what was meant */
	NIC_LOG_INFO,
};

/* Asynchronous events, as an event queue would carry them. */
enum nic_event_type {
	NIC_EVENT_CQ_COMPLETION, /* an armed CQ got a CQE; number: cqn */
	NIC_EVENT_CQ_ERROR,	 /* overrun or unwritable ring; number: cqn */
	NIC_EVENT_QP_FATAL,	 /* requester went to ERR; number: qpn */
	NIC_EVENT_QP_REQ_ERR,	 /* responder NAKed "invalid request" */
	NIC_EVENT_QP_ACCESS_ERR, /* responder NAKed "remote access" */
	NIC_EVENT_COMM_EST,	 /* first packet while still in RTR */
	NIC_EVENT_LAST_WQE,	 /* QP on an SRQ reached ERR */
	NIC_EVENT_SRQ_LIMIT,	 /* fewer receive WQEs than the limit */
	NIC_EVENT_PORT_DOWN,	 /* its link; number: the port */
	NIC_EVENT_PORT_ACTIVE,
};

struct nic_event {
	enum nic_event_type type;
	uint32_t number; /* cqn, qpn, rmpn or port */
	uint32_t eqn;	 /* CQ events: the CQ's event queue */
};

struct nic_config {
	enum nic_persona persona;
	enum nic_link link;
	enum nic_progress progress;

	/*
	 * DC initiators can be made and brought up, for libraries that make
	 * them whether they use them or not. They carry nothing: see
	 * docs/deviations.md.
	 */
	bool idle_dc;

	/* 0: derived from the wire's address, so unique in a fabric. */
	uint64_t guid;

	/*
	 * First value of every free-running counter (send and receive queue,
	 * CQ producer) instead of 0. Hardware starts at 0; tests start just
	 * below a wrap. A QP counts basic blocks from the low 16 bits of it.
	 */
	uint32_t start_counter;

	/*
	 * Callbacks, each may be NULL; arg is passed back. text is one line
	 * without newline, valid during the call.
	 */
	void *arg;
	void (*log)(void *arg, enum nic_log_level level, const char *text);
	void (*event)(void *arg, const struct nic_event *event);
	void (*trace)(void *arg, const struct nic_trace_record *record);
	/*
	 * There is work for a NIC that said it sleeps (nic_set_asleep). Called
	 * from any thread, also from that of another NIC.
	 */
	void (*wake)(void *arg);
};

/*
 * Make a NIC. config may be NULL (all defaults) and is copied. Returns NULL
 * with errno ENOMEM, or EINVAL for a config field out of range.
 */
struct nic *nic_create(const struct nic_config *config);

/*
 * Detach the wire and free everything, objects included. No other thread may
 * be in a call. Client memory is not touched any more afterwards.
 */
void nic_destroy(struct nic *nic);

/*
 * Leave the wire as nic_destroy() does, and keep everything else: for the end
 * of a process whose other threads may still be in calls. Nothing arrives or
 * is sent any more; commands and doorbells stay allowed. No runner may have
 * the NIC.
 */
void nic_detach_wire(struct nic *nic);

/* ------------------------------------------------------------ commands --- */

/*
 * Execute one firmware command mailbox. The layouts are in hw/cmd*.h; the
 * commands and what each checks are in emu/cmd.c.
 *
 * out[0] gets the status (enum hw_cmd_status), out[4..7] a syndrome that
 * names the check: command opcode in its upper half, byte offset of the
 * offending field in the input mailbox in its lower half (0xffff: none).
 * A refused command changes nothing, and the log says which field it was,
 * what it held and what was expected.
 *
 * in and out may not overlap. Returns 0 whenever out holds an answer, -EINVAL
 * if in or out is NULL or out_len < 16. An in_len too short or too long for
 * the command is answered (BAD_INP_LEN), likewise out_len (BAD_OUTP_LEN);
 * trailing bytes of a longer mailbox are allowed if they are zero.
 */
int nic_cmd(struct nic *nic, const void *in, size_t in_len, void *out,
	    size_t out_len);

/* ----------------------------------------------- memory and doorbells --- */

enum nic_mem_kind {
	NIC_MEM_HOST = 0,
	/* Device memory of the CUDA driver, which is opened when the first is
	 * registered. The CPU touches none of it; it is copied. */
	NIC_MEM_CUDA,
};

struct nic_mem {
	void *addr;
	uint64_t len;
	enum nic_mem_kind kind;
};

/*
 * Make client memory known under an id, for rings and doorbell records
 * (*_umem_id fields) and for keys (CREATE_MKEY). The memory stays the
 * client's; it must stay mapped until nic_umem_deregister. If it does not,
 * the access fails as on hardware (error CQE) and the log says so.
 *
 * Device memory may be freed only after that too; the first of a GPU takes a
 * while (streams, a pinned buffer of 4 MiB, a kernel to load), later ones do
 * not. Register it before a kernel waits for this NIC.
 *
 * Returns 0 and *id > 0; -EINVAL for a zero length, a range that wraps, or
 * device memory that the driver does not know; -ENOTSUP for a kind that this
 * build or machine lacks; -ENOMEM, -EIO if the GPU refuses; -ENOSPC. The log
 * says why.
 */
int nic_umem_register(struct nic *nic, const struct nic_mem *mem, uint32_t *id);

/* Returns 0; -ENOENT; -EBUSY while a QP, CQ, RMP or mkey uses it. */
int nic_umem_deregister(struct nic *nic, uint32_t id);

enum nic_uar_kind {
	NIC_UAR_NC = 0, /* one 8-byte send register, at 0x800 */
	NIC_UAR_BF,	/* two BlueFlame registers of two halves each */
};

/*
 * Give the NIC a doorbell page: 4096 bytes, aligned to 4096, zeroed, owned by
 * the caller and mapped until nic_uar_free. Layout: hw/doorbell.h. The NIC
 * reads doorbells from it; it clears the CQ doorbell when it has seen it, and
 * what it refused.
 *
 * Returns 0 and the page index for *_uar_page fields; -EINVAL; -ENOSPC.
 */
int nic_uar_alloc(struct nic *nic, void *page, enum nic_uar_kind kind,
		  uint32_t *index);

/*
 * From now on every store to the page is told by nic_uar_write() (trapped), or
 * no store is and the page is looked at (as it is after nic_uar_alloc). What
 * the page and the records of its queues hold at the change is looked at once
 * more, so none is lost if the client's stores trap before this says so, and
 * still trap when this says that they will not any more.
 *
 * Returns 0, or -ENOENT.
 */
int nic_uar_set_trapped(struct nic *nic, uint32_t index, bool trapped);

/*
 * Stores to a trapped page went to its memory, where nobody looks: look once,
 * as at a page that is not trapped. Of two queues that rang at one register,
 * the records tell. Returns as nic_uar_set_trapped.
 */
int nic_uar_look(struct nic *nic, uint32_t index);

/*
 * The client stored len bytes at this offset of the page. Nothing is merged:
 * every call that completes a register is a doorbell, whatever the register
 * held. The first 8 bytes of a register count, in one call or in pieces; the
 * rest of a BlueFlame copy and all other offsets are ignored. The page itself
 * is neither read nor written.
 *
 * Returns 1 if that was a doorbell. It is taken, not served: call nic_step(),
 * or nic_wake() (wire.h). 0 if there is nothing to serve; -ENOENT; -EINVAL if
 * that is not within a page. What a doorbell says is no error: it is refused
 * as the device does, and the log tells why.
 */
int nic_uar_write(struct nic *nic, uint32_t index, uint32_t offset,
		  const void *bytes, size_t len);

/* Returns 0; -ENOENT; -EBUSY while a QP or CQ names it. */
int nic_uar_free(struct nic *nic, uint32_t index);

enum nic_access {
	NIC_ACCESS_LOCAL_WRITE = 1 << 0,
	NIC_ACCESS_REMOTE_WRITE = 1 << 1,
	NIC_ACCESS_REMOTE_READ = 1 << 2,
	NIC_ACCESS_REMOTE_ATOMIC = 1 << 3,
};

struct nic_mkey_attr {
	struct nic_mem mem;
	uint64_t iova; /* address of the first byte in WQEs */
	uint32_t pd;
	uint32_t access; /* enum nic_access; local read is always granted */
};

/*
 * What a kernel driver does for reg_mr: a umem and a CREATE_MKEY mailbox in
 * one call. *mkey is both lkey and rkey. Returns as nic_umem_register, and
 * -EINVAL for a PD that does not exist.
 */
int nic_mkey_register(struct nic *nic, const struct nic_mkey_attr *attr,
		      uint32_t *mkey);

/*
 * Give a key of nic_mkey_register other memory, rights or another PD; its
 * number stays. Returns as nic_mkey_register, or -ENOENT, and then the key is
 * as before.
 */
int nic_mkey_change(struct nic *nic, uint32_t mkey,
		    const struct nic_mkey_attr *attr);

/* Undo it. Returns 0; -ENOENT for a key that is not of nic_mkey_register. */
int nic_mkey_deregister(struct nic *nic, uint32_t mkey);

/* ------------------------------------------------------------ progress --- */

/* What a step found. All but IDLE ask for another step at once. */
enum nic_step_result {
	/* Nothing will happen before a doorbell, a packet, nic_deadline(). */
	NIC_STEP_IDLE = 0,
	/* Nothing yet, but not every doorbell was looked at: the scan of many
	 * queue pairs takes several steps. */
	NIC_STEP_LOOKING,
	NIC_STEP_BUSY,
};

/*
 * Do a bounded amount of work: timers, doorbells, then rounds of packets that
 * arrived and queues that have something to send. now_ns is any clock that never goes back.
 * `while (nic_step(nic, now)) ;` serves everything that is there, if the step
 * before it said IDLE or BUSY. After LOOKING, such a loop ends with the pass
 * over the doorbells that was half done: another loop makes a whole one.
 */
enum nic_step_result nic_step(struct nic *nic, uint64_t now_ns);

/* As nic_step, but IDLE at once if another thread is in the NIC. */
enum nic_step_result nic_try_step(struct nic *nic, uint64_t now_ns);

/*
 * A thread of the client polls, and steps the NIC (nic_try_step) as it does:
 * call this beside the step. For the next NIC_LENT_NS a runner leaves the NIC
 * to such threads, and peers need not wake it. Any thread; takes no lock.
 */
void nic_lend(struct nic *nic, uint64_t now_ns);
bool nic_is_lent(struct nic *nic, uint64_t now_ns);

enum { NIC_LENT_NS = 100 * 1000 };

/* When the next timer fires, on nic_step's clock; UINT64_MAX if none runs. */
uint64_t nic_deadline(struct nic *nic);

/*
 * Does anybody have to look at doorbells? False while no queue pair is in a
 * state that reads them, or all pages in use are trapped: the runner may then
 * sleep without a limit.
 */
bool nic_watches_doorbells(struct nic *nic);

/*
 * The runner is about to sleep (true) or is back (false). After saying true
 * it must look once more (nic_step) before it sleeps: what came earlier than
 * the flag did not wake it.
 */
void nic_set_asleep(struct nic *nic, bool asleep);

/*
 * Descriptors of the wire that become readable when there is something to do
 * (a sleeping runner watches them). Returns how many were written to fds.
 */
unsigned nic_fds(struct nic *nic, int *fds, unsigned max);

/*
 * A packet arrived from a wire. Bytes of any kind are answered as the device
 * does: executed, NAKed, or dropped with a counter. The packet stays the
 * caller's. Returns 0, or -EINVAL for NULL.
 */
int nic_packet_in(struct nic *nic, const struct nic_packet *packet);

/* ---------------------------------------------------------------- port --- */

struct nic_port {
	enum nic_link link;
	uint16_t lid; /* 0 without a wire */
	uint8_t gid[16];
	uint8_t mac[6]; /* RoCE */
	uint8_t mtu;	/* enum ibv_mtu: 5 is 4096 */
	bool active;	/* a wire is attached, and the link is up */
};

void nic_query_port(struct nic *nic, struct nic_port *port);

/*
 * Take the link of the port down, or bring it back; it is up when the NIC is
 * made. While it is down, packets neither leave nor arrive: what RC has under
 * way is sent again when its timer fires, and ends in RETRY_EXC if the link is
 * not back before the last retry; UC and UD lose it. Queue pairs, LID and GID
 * stay as they are. An event tells of a change; the state that it has already
 * is none.
 */
void nic_set_port_active(struct nic *nic, bool active);

/* ------------------------------------------------------------ counters --- */

/* One number for each thing that can happen; names as in rdma statistic. */
#define NIC_COUNTERS(X)                                                        \
	X(doorbells)	       /* doorbell register writes seen */             \
	X(doorbells_by_record) /* compat: the record was ahead */              \
	X(doorbells_stale)     /* repeated or backwards */                     \
	X(doorbells_dropped)   /* no such QP, or not in RTS */                 \
	X(wqes)		       /* send WQEs fetched */                         \
	X(cqes)		       /* CQEs written */                              \
	X(cq_overruns)                                                         \
	X(req_cqe_error) /* requester error CQEs, flushes included */          \
	X(resp_cqe_error)                                                      \
	X(packets_out)                                                         \
	X(packets_in)                                                          \
	X(packets_dropped) /* malformed, or nobody to take them */             \
	X(duplicate_request)                                                   \
	X(out_of_sequence)                                                     \
	X(out_of_buffer)     /* UC, UD: lost for want of a receive WQE */      \
	X(packet_seq_err)    /* NAK "PSN sequence" received */                 \
	X(rnr_nak_retry_err) /* RNR NAK received */                            \
	X(local_ack_timeout_err)                                               \
	X(retransmits)                                                         \
	X(dma_faults) /* client memory was not there */                        \
	X(commands)                                                            \
	X(commands_refused)

struct nic_counters {
#define X(name) uint64_t name;
	NIC_COUNTERS(X)
#undef X
};

void nic_get_counters(struct nic *nic, struct nic_counters *counters);

/* Objects that exist now: "QPs 2, CQs 2, ..." for device listings. */
struct nic_usage {
	uint32_t pds, uars, umems, mkeys, cqs, qps, rmps, xrcds;
};

void nic_get_usage(struct nic *nic, struct nic_usage *usage);

/* --------------------------------------------------------------- trace --- */

/*
 * One step in the life of a request; the events and the meaning of args are
 * listed in emu/trace.def. qpn and wqe_index follow one request from doorbell
 * to CQE.
 */
struct nic_trace_record {
	uint64_t now_ns;
	uint16_t event; /* enum nic_trace_event */
	uint16_t wqe_index;
	uint32_t qpn;
	uint64_t args[3];
};

/*
 * Switch events on by glob patterns separated by commas ("sq_*,cqe_post";
 * "" switches all off). Returns 0, or -ENOENT if a pattern names no event.
 */
int nic_trace_enable(struct nic *nic, const char *patterns);

/* Write the record as one line of text; returns as snprintf. */
int nic_trace_format(const struct nic_trace_record *record, char *buf,
		     size_t size);

#ifdef __cplusplus
}
#endif
#endif
