--- Heat maps and pictures in a gnuplot script: both are rows of cells that have colours.

local data = require "moth.plot_data"
local plot_script = require "moth.plot_script"
local plot_text = require "moth.plot_text"

local quote, number = plot_script.quote, plot_script.number
local INK, LONGEST_NAME = plot_script.INK, plot_script.LONGEST_NAME

local plot_cells = {}

-- From paper to ink: one hue for amounts, two for signs.
local palettes = {
    sequential = "defined (0 '#FFFFFF', 0.25 '#CFE2F0', 0.5 '#86B7DA', 0.75 '#3386BD', 1 '#08406B')",
    diverging = "defined (-1 '#08519C', -0.5 '#6BAED6', 0 '#FFFFFF', 0.5 '#F4A582', 1 '#B2182B')",
    grey = "defined (0 '#FFFFFF', 1 '#000000')",
}

local function set_colors(script, panel)
    script:add("set palette maxcolors 64 %s", palettes[panel.palette] or palettes.grey)
    script:add("set cbrange [%s:%s]", number(panel.limits[1]),
        number(panel.limits[2] > panel.limits[1] and panel.limits[2] or panel.limits[1] + 1))
    if panel.colorbar then
        script:add("set colorbox noborder user size 0.02, graph 1 origin graph 1.02, graph 0")
        script:add("set cbtics nomirror scale 0.4 textcolor rgb '%s' %s", INK,
            plot_script.ticks(data.ticks({ low = panel.limits[1], high = panel.limits[2] }, 5)))
        script:add("set rmargin 9")
    else
        script:add("unset colorbox; unset rmargin")
    end
end

local function set_frame(script, columns, rows)
    script:add("set xrange [0.5:%s]", number(columns + 0.5))
    script:add("set yrange [%s:0.5]", number(rows + 0.5))
    script:add("unset key; unset grid; unset border; unset logscale")
end

-- Dark cells have white numbers.
local function cell_labels(script, panel)
    local low, high = panel.limits[1], panel.limits[2]
    local font = script:font(#panel.values[1] > 12 and 9 or 12)
    for i, row in ipairs(panel.values) do
        for j, value in ipairs(row) do
            local text = panel.texts[i][j]
            if text ~= "" then
                local t = data.finite(value) and high > low and (value - low) / (high - low) or 0
                local dark = t > 0.5
                if panel.palette == "diverging" then
                    dark = t > 0.85 or t < 0.15
                end
                script:add("set label %s at first %d, first %d center %s textcolor rgb '%s' front", quote(text), j, i,
                    font, dark and "#FFFFFF" or INK)
            end
        end
    end
end

local MANY, ROW = 40, 14 -- cells, and pixels that the name of one takes below another

-- How wide and high the cells of a heat map are that nobody chose, in pixels. Of many only some have room for a name.
local function cell_size(panel)
    local most = math.max(#panel.values, #panel.values[1])
    if most > MANY then
        local cell = math.max(1, 640 // most)
        return math.max(cell, 120 // #panel.values[1]), math.max(cell, 120 // #panel.values)
    end
    local cell = math.max(ROW, math.min(48, 560 // math.max(#panel.values, #panel.values[1])))
    return math.max(cell, math.min(8 * plot_text.longest(panel.xnames) + 6, 90)), cell
end

-- Every how many cells one has a name: 1, or a round number of many.
local function named_cells(names, size)
    if #names <= MANY then
        return math.max(1, math.ceil(ROW / size))
    end
    local wanted = (math.min(plot_text.longest(names), 4) + 1) * plot_text.LETTER / size
    return math.ceil(data.tick_step(0, wanted, 1))
end

local function names_of_cells(names, stride)
    local list = {}
    for i = stride, #names, stride do
        list[#list + 1] = { i, plot_text.cut(names[i], LONGEST_NAME) }
    end
    return plot_script.ticks(list)
end

--- Draws a heat map.
---@param script table
---@param panel table
function plot_cells.heatmap(script, panel)
    local rows, columns = #panel.values, #panel.values[1]
    set_frame(script, columns, rows)
    set_colors(script, panel)
    local cell_width, cell_height = cell_size(panel)
    local across, down = named_cells(panel.xnames, cell_width), named_cells(panel.ynames, cell_height)
    script:add("set xtics %s scale 0 %s", names_of_cells(panel.xnames, across),
        plot_script.direction(panel.xnames, cell_width * across))
    script:add("set ytics %s scale 0", names_of_cells(panel.ynames, down))
    script:add(panel.square and "set size ratio 1" or "set size noratio")
    if panel.texts then
        cell_labels(script, panel)
    end
    local block = script:block(panel.values)
    -- In SVG cells are rectangles, which stay sharp at any size; elsewhere rectangles would leave seams.
    script:add("plot %s matrix using ($1+1):($2+1):3 with image %s", block, script.kind == "svg" and "pixels" or "")
    script:add("unset label; set size noratio; unset colorbox; unset rmargin")
end

local GAP, TITLE_ROOM = 2, 6 -- in pixels of the pictures

-- All pictures as one: a mosaic with gaps of paper. One image element is small in SVG and drawn in one call.
local function mosaic(panel)
    local height, width = 0, 0
    for _, image in ipairs(panel.images) do
        height, width = math.max(height, #image), math.max(width, #image[1])
    end
    local across = math.min(panel.columns, #panel.images)
    local down = math.ceil(#panel.images / across)
    local title_room = panel.titles and math.max(TITLE_ROOM, height // 5) or 0
    local cell_height, cell_width = height + GAP + title_room, width + GAP
    local paper = panel.palette == "rgb" and { panel.limits[2], panel.limits[2], panel.limits[2] }
        or panel.palette == "diverging" and 0 / 0 or 0
    local rows = {}
    for i = 1, down * cell_height - GAP do
        rows[i] = {}
        for j = 1, across * cell_width - GAP do
            rows[i][j] = paper
        end
    end
    local places = {}
    for k, image in ipairs(panel.images) do
        local top = (k - 1) // across * cell_height + title_room
        local left = (k - 1) % across * cell_width
        places[k] = { left + #image[1] / 2, top }
        for i, row in ipairs(image) do
            for j, pixel in ipairs(row) do
                local as_color = panel.palette == "rgb" and type(pixel) ~= "table"
                rows[top + i][left + j] = as_color and { pixel, pixel, pixel } or pixel
            end
        end
    end
    return rows, places, title_room
end

local function image_titles(script, panel, places, pixel)
    for k, title in ipairs(panel.titles) do
        local font = script:font(math.max(9, math.min(14, math.floor(pixel * 4.5))), panel.marked[k] and ":Bold")
        script:add("set label %s at first %s, first %s center offset 0,0.55 %s textcolor rgb '%s' front", quote(title),
            number(places[k][1] + 0.5), number(places[k][2] + 0.5), font, panel.marked[k] and "#D55E00" or INK)
    end
end

--- Draws pictures, as one mosaic.
---@param script table
---@param panel table
---@param width number
function plot_cells.images(script, panel, width)
    local rows, places = mosaic(panel)
    set_frame(script, #rows[1], #rows)
    script:add("unset tics; set size ratio -1")
    set_colors(script, panel)
    if panel.titles then
        image_titles(script, panel, places, width / #rows[1])
    end
    if panel.palette == "rgb" then
        local points = {}
        for i, row in ipairs(rows) do
            for j, pixel in ipairs(row) do
                points[#points + 1] = { j, i, pixel[1] * 255 / panel.limits[2], pixel[2] * 255 / panel.limits[2],
                    pixel[3] * 255 / panel.limits[2] }
            end
        end
        script:add("plot %s using 1:2:3:4:5 with rgbimage", script:block(points))
    else
        script:add("plot %s matrix using ($1+1):($2+1):3 with image", script:block(rows))
    end
    script:add("unset label; set size noratio; unset colorbox; unset rmargin; set tics")
end

--- The size of a heat map that nobody chose, in pixels of 1/96 inch.
---@param panel table
---@return number width
---@return number height
function plot_cells.heatmap_size(panel)
    local rows, columns = #panel.values, #panel.values[1]
    local width, height = cell_size(panel)
    local below = plot_script.direction(panel.xnames, width) == "norotate" and 0
        or math.min(plot_text.longest(panel.xnames), LONGEST_NAME) * plot_text.LETTER * 4 // 7
    local beside = 8 * math.min(plot_text.longest(panel.ynames), LONGEST_NAME)
    return math.max(columns * width + 130 + beside, 260), math.max(rows * height + 90 + below, 200)
end

--- The same for pictures.
---@param panel table
---@return number width
---@return number height
function plot_cells.images_size(panel)
    local rows = mosaic(panel)
    -- Small pictures are magnified, large ones shown whole.
    local pixel = math.max(1, math.min(6, 640 // #rows[1]))
    return math.max(#rows[1] * pixel + (panel.colorbar and 90 or 20), 160), #rows * pixel + 20
end

return plot_cells
