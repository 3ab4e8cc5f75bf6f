/** Interrupt lines of a CPU: 0 to 15 belong to devices and races, the rest to the machine. */
export const DEVICE_LINES = 16;
export const TIMER_LINE = 16;
/** Inter-processor interrupts. Source: enum ipi_msg_type, arch/arm/kernel/smp.c, Linux 2.6.30 (one SGI with a bit mask there). */
export const IPI_RESCHEDULE = 24;
export const IPI_CALL_FUNC = 25;
