"""Area and timing of the generated hardware with open tools: Yosys, ABC and OpenSTA."""
