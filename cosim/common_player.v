// What all players have in common; a player includes it after its ports, and adds its own state machine.
//
// A player plays programs, one after the other, into a component, and records the results. It signals `finished` at
// the end of each program; the bench stops the clock until the host has read the record and written the next program.
//
// Program (+program=FILE), binary: commands of a byte and a count (4 bytes). All players know
//   "L" count transfers   load port, LOAD_BYTES bytes each, most significant first
//   "S" ... limit         start the component; limit (4 bytes): the most cycles that it may take
// Record (+record=FILE), text: a line that begins with "C" after each start, and the player's own lines. If a start is
// not done after its limit, the program ends there, and the last line begins with "T".
//
// Where WAVEFORM is defined, +waveform=FILE +first=A +last=B records the starts A to B of a program, counted from zero;
// the program ends after them. What comes after a recorded start, in later programs too, is recorded as well.

    // The clock is the only input: Verilator evaluates logic that depends on another input twice more in each cycle.
    reg [2:0] resetting = 3'd4;
    wire rst = resetting != 0;

    localparam OPENING = 0, COMMAND = 1, LOADING = 2, STARTING = 3, RUNNING = 4, READING = 5;
    reg [2:0] state;
    integer program_file, record_file, got, starts;
    reg [8*1024-1:0] program_name, record_name;
`ifdef WAVEFORM
    integer first_shown, last_shown;
    reg shown;
    reg [8*1024-1:0] waveform_name;
`endif

    initial begin
        finished = 1'b0;
        if (!$value$plusargs("program=%s", program_name)) $fatal(1, "player: +program is missing");
        if (!$value$plusargs("record=%s", record_name)) $fatal(1, "player: +record is missing");
`ifdef WAVEFORM
        shown = 1'b0;
        if (!$value$plusargs("waveform=%s", waveform_name)) $fatal(1, "player: +waveform is missing");
        if (!$value$plusargs("first=%d", first_shown)) $fatal(1, "player: +first is missing");
        if (!$value$plusargs("last=%d", last_shown)) $fatal(1, "player: +last is missing");
`endif
    end

    task open_files;
        begin
            program_file = $fopen(program_name, "rb");
            record_file = $fopen(record_name, "w");
            starts = 0;
        end
    endtask

    task close_files;
        begin
            $fclose(program_file);
            $fclose(record_file);
        end
    endtask

`ifdef LOAD_BITS
    localparam LOAD_BYTES = (`LOAD_BITS + 7) / 8;
    reg [8*LOAD_BYTES-1:0] transfer, next;
    reg load_valid;
    // Registers start at random: a transfer before the reset would change a memory that is filled directly.
    initial load_valid = 1'b0;
    wire load_ready;
    reg [7:0] command;
    reg [31:0] count, limit, cycles;

    // The next command, its count and its limit; `got` is zero at the end of the program.
    task read_command;
        begin
            got = $fread(command, program_file);
            if (got == 1) got = $fread(count, program_file);
            if (got != 0 && command == "S") begin
                got = $fread(limit, program_file);
`ifdef WAVEFORM
                if (starts == first_shown && !shown) begin
                    shown = 1'b1;
                    $dumpfile(waveform_name);
                    $dumpvars;
                end
                if (starts > last_shown) got = 0;
`endif
                starts = starts + 1;
            end
        end
    endtask

    // A cycle of "L".
    task load;
        if (!load_valid || load_ready) begin
            if (count == 0) begin
                load_valid <= 1'b0;
                state <= COMMAND;
            end else begin
                // Not into `transfer` itself, which the component takes at this edge.
                got = $fread(next, program_file);
                transfer <= next;
                load_valid <= 1'b1;
                count = count - 1;
            end
        end
    endtask
`endif
